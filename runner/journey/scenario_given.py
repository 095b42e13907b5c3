"""What a scenario takes as given of the world outside: the values of pools and the answers to calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from runner.journey.catalog import Catalog
from runner.journey.model import Call, Verb
from runner.journey.scenario import Answered
from runner.journey.schema import plain
from runner.journey.yaml import Fields, Items, Scalar, Value
from runner.problem import Span

Unknown = Callable[[str, str, Iterable[str], Span], None]
"""Notes that there is no such thing of this name: what, name, what there is, where."""


def given_pools(
    given: Value | None, catalog: Catalog, unknown: Unknown
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each pool by name, and its values."""
    pools = given.get("pools") if isinstance(given, Fields) else None
    for each in pools.fields if isinstance(pools, Fields) else ():
        if each.key not in catalog.pools:
            unknown("pool", each.key, catalog.pools, each.key_span)
            continue
        items = each.value.items if isinstance(each.value, Items) else ()
        yield each.key, tuple(item.text for item in items if isinstance(item, Scalar))


def given_calls(
    given: Value | None, steps: Mapping[str, Verb], unknown: Unknown
) -> Iterator[tuple[str, Answered]]:
    """The answer to the call of each step."""
    calls = given.get("calls") if isinstance(given, Fields) else None
    for each in calls.fields if isinstance(calls, Fields) else ():
        if not isinstance(steps.get(each.key), Call):
            known = [step for step, verb in steps.items() if isinstance(verb, Call)]
            unknown("call", each.key, known, each.key_span)
            continue
        answer = each.value
        if isinstance(answer, Fields):
            status, json = answer.get("status"), answer.get("json")
            code = status.value if isinstance(status, Scalar) and type(status.value) is int else 200
            yield each.key, Answered(status=code, json=plain(json) if json is not None else None)
