"""An index of pods by their labels, to find the pods of a selector without looking at every pod."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from floe.kubernetes.objects import mapping, mappings
from floe.kubernetes.pods import Pod


class Pods:
    """The index. A pod without a namespace counts for every namespace; so does a selector without one."""

    def __init__(self, pods: Iterable[Pod]) -> None:
        self._in: dict[str | None, list[Pod]] = defaultdict(list)
        self._by_label: dict[tuple[str | None, str, str | None], list[Pod]] = defaultdict(list)
        for pod in pods:
            for namespace in (pod.item.namespace, None):
                self._in[namespace].append(pod)
                for key, value in pod.labels.items():
                    self._by_label[namespace, key, value].append(pod)

    def selected(self, namespace: str, selector: dict[str, Any]) -> list[Pod]:
        """The pods that a LabelSelector matches; an empty selector matches all pods of the namespace."""
        wanted = {key: value for key, value in mapping(selector.get("matchLabels")).items() if isinstance(value, str)}
        expressions = list(mappings(selector.get("matchExpressions")))
        namespaces = (namespace, "") if namespace else (None,)
        # Every match has all of the labels, with the wanted value or one that is not known yet. So it is enough to look
        # at the pods with the rarest label.
        candidates = min(
            (
                [self._by_label.get((place, key, known), []) for place in namespaces for known in (value, None)]
                for key, value in wanted.items()
            ),
            key=lambda lists: sum(map(len, lists)),
            default=[self._in.get(place, []) for place in namespaces],
        )
        return [
            pod
            for indexed in candidates
            for pod in indexed
            if all(key in pod.labels and pod.labels[key] in (None, value) for key, value in wanted.items())
            and all(_expression_matches(expression, pod.labels) for expression in expressions)
        ]


def _expression_matches(expression: dict[str, Any], labels: dict[str, str | None]) -> bool:
    key, operator = expression.get("key"), expression.get("operator")
    values = expression.get("values")
    present = isinstance(key, str) and key in labels
    value = labels[key] if present and isinstance(key, str) else None
    listed = present and (value is None or value in (values if isinstance(values, list) else ()))
    if operator == "In":
        return listed
    if operator == "NotIn":
        return not listed or value is None
    if operator == "Exists":
        return present
    return operator == "DoesNotExist" and not present
