"""One run of `floe generate --to`: loads what is generated into an environment's own catalog."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from floe.errors import FloeError
from floe.generate.request import Request
from floe.generate.run import Report, report
from floe_runtime.contract.platform import Platform


def load(wanted: Request, platform: Platform, environment: str, namespace: str, say: Callable[[str], None]) -> Report:
    """Load what is missing in a namespace until the end of what is wanted, and count the rows that were added.

    A history that is there already is continued. Raises FloeError if the request has no end, if a variable that the
    platform names is not set, and if the catalog or the storage fails: what was loaded until then stays.
    """
    from floe_runtime.connect import open_catalog
    from floe_synthetic import IcebergLoader
    from floe_synthetic.datafiles import in_a_sentence
    from floe_synthetic.history import continued

    if wanted.until is None:
        raise FloeError("--to needs an end, not a number of rows", "Give --until TIME in place of --rows.")
    begun = time.monotonic()
    counts: Counter[str] = Counter()
    hint = (
        f"Check the services of {environment} with `floe preflight {environment}`, and run this where they can be "
        "reached. Then repeat it: what was loaded is not loaded twice."
    )
    with in_a_sentence(f"the catalog of {environment} cannot be used", hint):
        loader = IcebergLoader(open_catalog(platform), namespace)
        for done in continued(loader, wanted.generator, wanted.until, wanted.until - wanted.since):
            counts[done.table] += done.rows
            say(f"{counts.total():,} rows, {counts.total() / (time.monotonic() - begun):,.0f} a second")
    return report(counts, time.monotonic() - begun)
