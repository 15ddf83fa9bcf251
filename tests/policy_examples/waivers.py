"""Examples for waivers, which are valid until a day of the next year."""

from __future__ import annotations

import datetime

from floe.validate.waivers import PREFIX
from policy_examples.builders import Example, Json, bad, good, named, pod

SOON = f"{datetime.datetime.now(datetime.UTC).year + 1}-01-31"
REASON = "upstream has no tag yet, issue 12"


def waiving(code: str, words: str, image: str = "app:latest") -> Json:
    made = pod() | {"metadata": {"name": "p", "annotations": {f"{PREFIX}{code}": words}}}
    made["spec"]["containers"][0]["image"] = image
    return made


FORM = "must have the form `until YYYY-MM-DD: reason`"

EXAMPLES: dict[str, dict[str, Example]] = {
    "FLOE025": {
        "none": good(pod()),
        "in-force": good(waiving("FLOE010", f"until {SOON}: {REASON}")),
        "without-a-reason": bad(waiving("FLOE010", f"until {SOON}"), says=FORM),
        "with-hardly-a-reason": bad(waiving("FLOE010", f"until {SOON}: because"), says=FORM),
        "without-an-expiry": bad(waiving("FLOE010", REASON), says=FORM),
        "expired": bad(waiving("FLOE010", f"until 2020-01-31: {REASON}"), says="expired on 2020-01-31"),
        "no-day": bad(waiving("FLOE010", f"until 2027-02-30: {REASON}"), says="contains a date that does not exist"),
        "of-nothing": bad(waiving("FLOE010", f"until {SOON}: {REASON}", "app:1.0"), says="waives nothing"),
        "of-no-code": bad(waiving("FLOE999", f"until {SOON}: {REASON}"), says="FLOE999 is not a code that can"),
        "of-a-schema": bad(waiving("FLOE002", f"until {SOON}: {REASON}"), says="FLOE002 is not a code that can"),
        "of-what-is-certainly-a-credential": bad(
            named("Secret", "s", data={"a": "eA=="})
            | {"metadata": {"name": "s", "annotations": {f"{PREFIX}FLOE011": f"until {SOON}: {REASON}"}}},
            says="waives nothing",
        ),
    },
}
