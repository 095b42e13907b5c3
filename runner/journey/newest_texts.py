"""Which texts those read who finish an older version of their journey, and what was let go by one and has not left yet:
the newest, as far as that version can fill it.

A text is taken from the newest version as a whole, with all its languages, or not at all. What is written for those
who asked for offers is for nobody else: it is taken only where both versions send it by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runner.journey.catalog import CONTACT_FIELDS, Catalog
from runner.journey.derived_values import derived_types
from runner.journey.model import Content, Delivery, Journey, Send
from runner.journey.run_values import reads_blocked, run_values
from runner.journey.template import Template
from runner.journey.template_reads import Names, members_read
from runner.journey.trigger_types import common_types
from runner.journey.values import STRING, ValueType
from runner.journey.version import sends_of

BLOCKED = "blocked"
"""``run.blocked``, which is written for those versions alone in which something reads it."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A version as far as its messages hang on it."""

    journey: Journey
    catalog: Catalog
    templates: tuple[Template, ...]


def newest_texts(old: Written, newest: Written) -> tuple[Template, ...]:
    """The templates from which the messages of ``old`` are rendered now that ``newest`` is in force."""
    kept = kept_texts(old, newest)
    names = {template.name for template in old.templates}
    chosen = [template for template in old.templates if template.name in kept]
    chosen += [template for template in newest.templates if template.name in names - set(kept)]
    return tuple(sorted(chosen, key=lambda template: template.path))


def kept_texts(old: Written, newest: Written) -> Mapping[str, str]:
    """The templates of ``old`` that stay as they are, by name, each with the reason: what follows "since"."""
    names = sorted({template.name for template in old.templates})
    if newest.journey.in_flight.content is Content.PINNED:
        return dict.fromkeys(names, "the journey says `content: pinned`")
    made, asked = _made_by(old), _made_by(newest)
    found = {}
    for name in names:
        texts = [template for template in newest.templates if template.name == name]
        if texts == [template for template in old.templates if template.name == name]:
            continue
        reason = _for_others(name, old, newest) or _cannot_fill(texts, made, asked)
        if reason is not None:
            found[name] = reason
    return found


def _for_others(name: str, old: Written, newest: Written) -> str | None:
    """Why the newest text is not for those to whom the older version sends the one of that name."""
    before, now = ([send for send in sends_of(each.journey) if send.sends(name)] for each in (old, newest))
    if not now:
        return "the newest version does not send it"
    if newest.journey.delivery is not Delivery.LIVE:
        return f"the newest version says `delivery: {newest.journey.delivery.value}`"
    found = (
        _differs(send, now) or _asks_otherwise(send.topic, old.catalog, newest.catalog) for send in before
    )
    return next((reason for reason in found if reason is not None), None)


def _differs(send: Send, now: Iterable[Send]) -> str | None:
    """Why none of ``now`` goes to those to whom ``send`` goes."""
    by_channel = [each for each in now if each.channel == send.channel]
    if not by_channel:
        return f"the newest version does not send it by {send.channel}"
    of_topic = [each for each in by_channel if each.topic == send.topic]
    if not of_topic:
        return f"the newest version does not send it under the topic {send.topic}"
    if all(each.only_if != send.only_if for each in of_topic):
        return "the newest version sends it under another `only_if`"
    return None


def _asks_otherwise(topic: str, old: Catalog, newest: Catalog) -> str | None:
    before, now = (
        (each.topics[topic].opt_in, each.topics[topic].cases) if topic in each.topics else None
        for each in (old, newest)
    )
    return None if before == now else f"the topic {topic} has another `opt_in` in the newest version"


def _made_by(version: Written) -> Mapping[str, Mapping[str, ValueType]]:
    """What the messages of a version may read: by owner, name and type."""
    journey, catalog = version.journey, version.catalog
    values = dict(run_values(journey))
    if not reads_blocked(journey, version.templates):
        values.pop(BLOCKED, None)
    return {
        "contact": {
            **{name: each.type for name, each in catalog.attributes.items()},
            **derived_types(catalog),
            **CONTACT_FIELDS,
        },
        "account": {name: each.type for name, each in catalog.accounts.items()},
        "trigger": common_types(journey.triggers, catalog),
        "run": values,
        "links": {link.name: STRING for link in journey.links},
    }


def _cannot_fill(
    texts: Iterable[Template],
    made: Mapping[str, Mapping[str, ValueType]],
    asked: Mapping[str, Mapping[str, ValueType]],
) -> str | None:
    """Why a version that makes ``made`` cannot fill ``texts``, which were written for one that makes ``asked``."""
    found = tuple(texts)
    for owner, types in asked.items():
        read: Names = members_read(found, owner)
        names = sorted(types) if read is None else sorted(read & set(types))
        for name in names:
            if name not in made[owner]:
                return f"the newest reads `{owner}.{name}`, which their version does not know"
            if made[owner][name] != types[name]:
                return f"the newest reads `{owner}.{name}`, which is of another type in their version"
    return None
