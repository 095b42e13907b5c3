"""What a scenario takes as given of the world outside, the values of pools and the answers to calls; and the links that
its reader presses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from runner.journey.catalog import LINK_PRESSED, Catalog
from runner.journey.graph import walk
from runner.journey.model import Call, Journey, Send, Snooze, Verb
from runner.journey.scenario import Answered, Received
from runner.journey.schema import plain
from runner.journey.words import listed
from runner.journey.yaml import Fields, Items, Scalar, Value
from runner.problem import Span

Unknown = Callable[[str, str, Iterable[str], Span], None]
"""Notes that there is no such thing of this name: what, name, what there is, where."""
Note = Callable[[str, str, Span], None]
"""Notes a problem: code, message, where."""


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


def pressed(
    at: datetime,
    fields: Fields,
    journey: Journey,
    journeys: Mapping[str, Journey],
    unknown: Unknown,
    note: Note,
) -> Iterator[Received]:
    """A press of a link, of another journey as ``JOURNEY/LINK``: of which run's message, is known when it happens."""
    link, step, option = fields.get("press"), fields.get("of"), fields.get("option")
    assert isinstance(link, Scalar)
    other, slash, name = link.text.rpartition("/")
    if slash and other not in journeys:
        unknown("journey", other, journeys, link.span)
        return
    journey = journeys[other] if slash else journey
    links = {each.name: each.action for each in journey.links}
    if name not in links:
        unknown("link", link.text, links, link.span)
        return
    sends = [each.id for each in walk(journey.steps) if isinstance(each.verb, Send)]
    if isinstance(step, Scalar) and step.text not in sends:
        unknown("send step", step.text, sends, step.span)
        return
    action = links[name]
    options = [name for name, _ in action.options] if isinstance(action, Snooze) else []
    if options and not isinstance(option, Scalar):
        note("tests/press", f"`{link.text}` needs an `option`: one of {listed(options)}.", link.span)
        return
    if options and isinstance(option, Scalar) and option.text not in options:
        unknown("option", option.text, options, option.span)
        return
    given = fields.get("values")
    properties: dict[str, object] = {
        "journey": journey.name,
        "link": name,
        "step": step.text if isinstance(step, Scalar) else None,
        "option": option.text if isinstance(option, Scalar) else None,
        "values": plain(given) if given is not None else {},
    }
    yield Received(at=at, name=LINK_PRESSED, properties=properties, span=link.span)
