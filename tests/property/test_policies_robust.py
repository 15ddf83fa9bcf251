"""No policy raises an exception for invalid objects: each node of each example is replaced by other values."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from floe.kubernetes.objects import objects
from floe.validate.policies import POLICIES, Policy
from floe.validate.schema import Schemas
from floe.validate.stream import LeftOut, Stream
from floe.yaml import Document
from policy_examples import EXAMPLES
from policy_examples.written import documents

OTHERS: tuple[Any, ...] = (None, True, 7, "x", [], [None], [[]], [{}], {}, {"x": 1})
SCHEMAS = Schemas()
CHECKED = [policy for policy in POLICIES if policy.waivable]
"""All policies except the rules of the API server, which run first. The others must handle invalid objects too."""


def changed(documents: tuple[Any, ...]) -> Iterator[list[Any]]:
    """The documents with one node replaced, for each node and each of the other values."""
    mutable = copy.deepcopy(list(documents))
    todo: list[Any] = [mutable]
    while todo:
        node = todo.pop()
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            was = node[key]
            for other in OTHERS:
                node[key] = other
                yield mutable
            node[key] = was
            if isinstance(was, (dict, list)):
                todo.append(was)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.code)
def test_no_policy_fails_on_invalid_objects(policy: Policy) -> None:
    carried = (documents(policy.fails), documents(policy.passes))
    for example in (*carried, *(one.documents for one in EXAMPLES.get(policy.code, {}).values())):
        for values in changed(example):
            items = list(objects((Document(1, 1, value) for value in values), "test"))
            stream = Stream(items)
            for checked in CHECKED:
                try:
                    for hit in checked.check(stream, SCHEMAS):
                        assert isinstance(hit.message, str)
                except LeftOut:
                    pass
