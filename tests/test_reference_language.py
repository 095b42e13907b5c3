"""What of the language the generated journeys have, of those by which the engine is compared with the naive model: all,
but for what is named here. So nobody believes that more is compared than is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis.control import BuildContext
from hypothesis.internal.conjecture.data import ConjectureData
from test_constructs import offered, used

from runner.journey.expression.calls import FUNCTIONS
from tests.reference import vocabulary
from tests.reference.generate import project_files

NOT_DRAWN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "journey": {
        "runs that follow into another version: test_changes_in_flight.py": (
            *("journey.in_flight", "journey.in_flight=finish", "journey.in_flight=follow"),
            *("journey.moved", "moved_to.exit"),
            *("journey.timers", "journey.timers=keep", "journey.timers=recompute", "journey.timers=restart"),
            *("journey.retired", "journey.retired=exit", "journey.retired=finish"),
            *("journey.content", "journey.content=latest", "journey.content=pinned"),
        ),
        "asked when a message is handed over, which nobody does here": (
            *("send.per_address", "send.on_unknown", "send.on_unknown=hold", "send.on_unknown=resend"),
        ),
        "no matter of runs and messages": ("simple_type=boolean",),
    },
    "catalog": {
        "no matter of runs and messages": (
            *("attribute.pii", "attribute.title", "attribute.unit", "segment.title", "channel.cost"),
            *("channel.uses=smtp", "channel.uses=webhook"),
            *("topic.on_unknown", "topic.on_unknown=hold", "topic.on_unknown=resend"),
        ),
    },
}
"""What is offered by the schemas and not drawn, by why."""
OF_NO_RUN = re.compile(r"(campaigns|funnel_step|catalog\.(campaigns|costs|funnel|goals|links\.utm))(\b|$)")
"""What of the catalog is for reports and links alone."""
MOST_PROJECTS = 400


def drawn(schema: str) -> frozenset[str]:
    """What of the language some generated projects have: as many as it takes to have seen all that can be."""
    expected = offered(schema) - named(schema)
    found, seen = set[str](), set[tuple[str, str]]()
    for number in range(MOST_PROJECTS):
        data = ConjectureData(random=Random(number), prefix=())
        with BuildContext(data, is_final=False, wrapped_test=drawn):
            files = project_files(data.draw, "UTC", alone=number % 2 == 0, shares=number % 3 == 0)
        for path, text in files.items():
            if path.endswith(f"/{schema}.yaml") and not seen.issuperset(words := words_of(json.loads(text))):
                found |= used(schema, json.loads(text))
                seen |= words
        if expected <= found:
            break
    return frozenset(found)


def words_of(value: Any, key: str = "") -> frozenset[tuple[str, str]]:
    """The keys of a file, each with the one above it, and the words that are their values: a quick look whether a file
    has anything new."""
    if isinstance(value, list):
        return frozenset().union(*(words_of(each, key) for each in value))
    if isinstance(value, dict):
        below = (words_of(inner, inner_key) for inner_key, inner in value.items())
        return frozenset({(key, inner_key) for inner_key in value}).union(*below)
    return frozenset({(key, value)} if isinstance(value, str) and value.isalpha() else ())


def named(schema: str) -> frozenset[str]:
    """What is said not to be drawn."""
    others = {each for each in offered(schema) if schema == "catalog" and OF_NO_RUN.match(each)}
    return frozenset({each for group in NOT_DRAWN[schema].values() for each in group} | others)


def test_the_generated_journeys_have_all_of_the_language_but_what_is_named() -> None:
    assert offered("journey") - drawn("journey") == named("journey")


def test_their_catalogs_have_all_but_what_is_named() -> None:
    assert offered("catalog") - drawn("catalog") == named("catalog")


def test_their_conditions_call_all_functions() -> None:
    sentences = " ".join(str(value) for name, value in vars(vocabulary).items() if name.isupper())
    missing = {name for name in FUNCTIONS if not re.search(rf"\b{name}\(", sentences)} - {"sent"}
    assert not missing
