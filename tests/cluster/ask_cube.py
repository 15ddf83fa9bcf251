"""What the client's pod runs to ask Cube for its batches: with Python's own library, since an image has no tests.

`python ask_cube.py TOKEN QUERY WANTED SECONDS`, the last three as JSON, prints how many orders Cube has of each batch,
as soon as there are so many in all as wanted or the seconds are over.
"""

from __future__ import annotations

import json
import sys
import time
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen


def main() -> None:
    """Ask until it is there; any other answer than rows ends this with the answer, which the test shows."""
    token, query, wanted, seconds = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
    deadline = time.monotonic() + seconds
    while True:
        counts = _counts(token, query, deadline)
        if sum(counts.values()) >= wanted or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    print(json.dumps(counts))


def _counts(token: str, query: str, deadline: float) -> dict[str, int]:
    """Ask until Cube answers: while a query takes longer than a request should, Cube says `Continue wait`."""
    deadline = max(deadline, time.monotonic() + 10)
    (measure,), (batch,) = (json.loads(query)[part] for part in ("measures", "dimensions"))
    address = f"http://cube:4000/cubejs-api/v1/load?{urlencode({'query': query})}"
    request = Request(address, headers={"Authorization": token})
    while True:
        try:
            with urlopen(request, timeout=max(deadline - time.monotonic(), 1)) as answer:  # noqa: S310 # Cube's own URL
                reply = json.load(answer)
        except HTTPError as error:
            raise SystemExit(f"Cube answers {error.code}: {error.read().decode(errors='replace')}") from None
        if "error" not in reply:
            return {row[batch]: int(row[measure]) for row in reply["data"]}
        if reply["error"] != "Continue wait" or time.monotonic() > deadline:
            raise SystemExit(f"Cube answers: {reply['error']}")


if __name__ == "__main__":
    main()
