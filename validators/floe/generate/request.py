"""What `floe generate` was asked for: the generator, and the windows of time that it fills."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from floe.errors import FloeError

if TYPE_CHECKING:
    import pyarrow as pa

    from floe_synthetic.entities import Generates, GeneratesFamilies

_EXAMPLES = "Run `floe generate --help` for examples."
_SHORTEST, _LONGEST = timedelta(minutes=10), timedelta(days=30)  # windows of a run that is asked for rows
_LAST_RESORT = timedelta(days=20 * 365)  # a run that is asked for rows ends then
_MOST_ROWS = 10**12
_BASE_DAYS = 300  # organisations that were there before the opening, in days of sign-ups


def _shop(seed: int, rate: float | None, opened: date) -> GeneratesFamilies:
    from floe_synthetic import EcommerceGenerator

    return EcommerceGenerator(seed, orders_per_day=6000 if rate is None else rate, opened=opened)


def _service(seed: int, rate: float | None, opened: date) -> GeneratesFamilies:
    from floe_synthetic import SaaSGenerator

    per_day = 3 if rate is None else rate
    return SaaSGenerator(seed, max(int(_BASE_DAYS * per_day), 1), per_day, opened=opened)


DOMAINS: dict[str, Callable[[int, float | None, date], GeneratesFamilies]] = {"ecommerce": _shop, "saas": _service}
"""For each domain the function (seed, rate, opening) → generator."""


@dataclass(frozen=True)
class Request:
    """`until` is None if the run ends with the window that reaches `rows`."""

    generator: Generates
    since: datetime
    until: datetime | None
    rows: int | None

    def parts(self) -> Iterator[tuple[str, pa.Table]]:
        """What was before, and then the rows of the windows, as (name of the table, rows)."""
        yield from self.generator.reference(self.since).tables.items()
        start, count = self.since, 0
        end = self.until or start + _SHORTEST
        while True:
            for name, rows in self.generator.stream(start, end, self.since):
                count += rows.num_rows
                yield name, rows
            if self.rows is None or count >= self.rows:
                return
            if end - self.since > _LAST_RESORT:
                raise FloeError(f"{_LAST_RESORT.days // 365} years have only {count:,} rows", "Give a higher --rate.")
            pace = count / ((end - self.since) / _SHORTEST)  # rows in the shortest window
            windows = (self.rows - count) / pace if pace else 2 * ((end - start) / _SHORTEST)
            start, end = end, end + _SHORTEST * min(max(windows, 1.0), _LONGEST / _SHORTEST)


def request(
    domain: str,
    since: str | None,
    until: str | None,
    rows: int | None,
    seed: int,
    rate: float | None,
    opened: str,
    defects: list[str],
) -> Request:
    """Check what was asked for. Raises FloeError for what does not exist or makes no sense."""
    from floe_runtime.contract.defects import rates
    from floe_synthetic.defects import WithDefects
    from floe_synthetic.entities import window

    if domain not in DOMAINS:
        raise FloeError(f"there is no domain {domain!r}", f"Use one of the domains that exist: {', '.join(DOMAINS)}.")
    if (rows is None) == (until is None):
        raise FloeError("give either --until TIME or --rows N", _EXAMPLES)
    if rows is not None and not 1 <= rows <= _MOST_ROWS:
        raise FloeError(f"--rows must be at least 1 and at most {_MOST_ROWS}, and is {rows}", _EXAMPLES)
    if rate is not None and not 0 < rate < float("inf"):
        raise FloeError(f"--rate must be above 0, and is {rate:g}", _EXAMPLES)
    opening = moment("--opened", opened)
    first = moment("--since", since) if since else opening
    last = moment("--until", until) if until else None
    try:
        generator = DOMAINS[domain](seed, rate, opening.date())
        window(first, last or first + _SHORTEST, generator.opened)
        wanted = rates(defects)
    except ValueError as error:
        raise FloeError(str(error), _EXAMPLES) from None
    return Request(WithDefects(generator, wanted, seed) if wanted else generator, first, last, rows)


def moment(option: str, text: str) -> datetime:
    """A time given as text, in UTC if it does not say otherwise. Raises FloeError if it is none."""
    try:
        parsed = datetime.fromisoformat(text)
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the year 1 in another zone can be before all times
        raise FloeError(f"{option} is no time: {text!r}", "Write it as 2026-03-01 or 2026-03-01T12:00+01:00.") from None
