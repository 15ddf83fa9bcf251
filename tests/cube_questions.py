"""All questions that Cube's model allows: each measure by each dimension, and each measure together with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import permutations
from typing import Any

from cube_server import SECRET, Served
from floe.demo import cube
from oracle import MEASURES, Answer, Shop, same

_GRANULARITIES = ("day", "hour")
_FEW = ("status", "country", "category")
_OWN = {"placed.status": "orders.status", "buyers.country": "customers.country", "buyers.segment": "customers.segment"}
"""Dimensions of cubes that only a view shows: the column of an entity that they are."""
_AT_ONCE = 3


@dataclass(frozen=True)
class Question:
    """Measures by a dimension: by the name that the query has for each, the entity's. Views have names of their own."""

    measures: Mapping[str, str]
    dimension: tuple[str, str] | None = None
    granularity: str | None = None

    def wrong(self, running: Served, shop: Shop) -> str:
        """What is wrong with Cube's answer; empty if nothing is."""
        asked, own = self.dimension or ("", None)
        query: dict[str, Any] = {"measures": list(self.measures), "limit": 50_000}
        if self.granularity:
            query["timeDimensions"] = [{"dimension": asked, "granularity": self.granularity}]
        elif asked:
            query["dimensions"] = [asked]
        try:
            rows = running.load(**query)
        except cube.CubeError as error:
            return f"{self}: {error}"
        groups = [row.get(f"{asked}.{self.granularity}" if self.granularity else asked) for row in rows]
        wrong = [] if len(groups) == len(set(groups)) else ["a group came twice"]
        for name, measure in self.measures.items():
            # A group without rows is left out, or its sum is empty, or 0.
            numbers = {group: Decimal(row[name] or 0) for group, row in zip(groups, rows, strict=True)}
            answered: Answer = {group: number for group, number in numbers.items() if number}
            expected = {_shown(group): one for group, one in shop.answer(measure, own, self.granularity).items()}
            if not same(answered, expected):
                differ = [one for one in answered | expected if answered.get(one) != expected.get(one)]
                wrong += [f"{name} of {one!r}: {answered.get(one)} for {expected.get(one)}" for one in differ[:3]]
        return f"{self}: {'; '.join(wrong)}" if wrong else ""

    def __str__(self) -> str:
        """What is asked."""
        by = f" by {self.dimension[0]}" if self.dimension else ""
        return f"{', '.join(self.measures)}{by}{f' ({self.granularity})' if self.granularity else ''}"


def _shown(group: Any) -> Any:
    return str(group) if isinstance(group, Decimal) else group


def _own(member: Mapping[str, Any]) -> str:
    """The column of an entity, or the measure of a cube, that a public member of the model is."""
    own = str(member.get("aliasMember", member["name"]))
    return _OWN.get(own, own)


def _public(members: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [one for one in members if one.get("public", True)]


@dataclass(frozen=True)
class Area:
    """Measures and dimensions that can be asked together: those of all cubes, which are joined, or those of a view."""

    measures: Mapping[str, str]
    dimensions: Sequence[Mapping[str, Any]]

    def by(self) -> Iterator[tuple[tuple[str, str] | None, str | None]]:
        """Each dimension and granularity, and none."""
        yield None, None
        for dimension in self.dimensions:
            for granularity in _GRANULARITIES if dimension["type"] == "time" else (None,):
                yield (dimension["name"], _own(dimension)), granularity

    def alone(self) -> Iterator[Question]:
        """Each measure by each dimension."""
        for asked, own in self.measures.items():
            yield from (Question({asked: own}, *by) for by in self.by())

    def pairs(self) -> Iterator[Question]:
        """Each pair of measures of two entities, in both orders, because Cube joins what comes first."""
        for pair in permutations(self.measures.items(), 2):
            if len({MEASURES[own][0] for _, own in pair}) == 2:
                yield Question(dict(pair))

    def together(self) -> Iterator[Question]:
        """All measures at once by each dimension."""
        yield from (Question(self.measures, *by) for by in self.by())

    def together_by_few(self) -> Iterator[Question]:
        """All measures at once by the dimensions that are asked for most, where each query takes long."""
        few = [one for one in self.dimensions if one["type"] == "time" or one["name"].split(".")[1] in _FEW]
        yield from replace(self, dimensions=few).together()


def areas(running: Served) -> list[Area]:
    """What can be asked, as Cube's metadata say. Fails if a measure has no expectation."""
    found = _public(cube.meta(running.url, cube.token(SECRET))["cubes"])
    views = [[one] for one in found if one["type"] == "view"]
    result = [
        Area(
            {measure["name"]: _own(measure) for one in each for measure in _public(one["measures"])},
            [dimension for one in each for dimension in _public(one["dimensions"])],
        )
        for each in ([one for one in found if one["type"] == "cube"], *views)
    ]
    for area in result:
        assert set(area.measures.values()) <= set(MEASURES), (
            "each measure of the model needs an expectation in oracle.py"
        )
    assert set(result[0].measures) == set(MEASURES)
    return result


def compare(running: Served, shop: Shop, *ways: Ask) -> list[str]:
    """Ask Cube in these ways; returns which answers are not those of the oracle. Prints how many were compared."""
    asked = areas(running)
    questions = [question for area in asked for way in ways for question in way(area)]
    with ThreadPoolExecutor(_AT_ONCE) as several:
        wrong = [text for text in several.map(lambda question: question.wrong(running, shop), questions) if text]
    rows = ", ".join(f"{len(found)} {name}" for name, found in shop.rows.items())
    print(
        f"{rows}: {len(questions)} questions, {sum(len(one.measures) for one in questions)} answers, {len(wrong)} wrong"
    )
    return wrong


Ask = Callable[[Area], Iterator[Question]]
EVERYTHING: tuple[Ask, ...] = (Area.alone, Area.pairs, Area.together)
"""Each measure by each dimension alone and with all others, and each pair of measures of two entities."""
