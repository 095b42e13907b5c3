"""What has to be watched so that the triggers of the journeys in force hear of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from runner.journey.catalog import (
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    CONTACT_CHANGES,
    EVERY_CHANNEL,
)
from runner.journey.duration import Duration
from runner.journey.expression import Expression, tree
from runner.journey.model import ExistingPeople, Journey
from runner.journey.model.triggers import (
    AttributeTrigger,
    ConsentChange,
    ConsentTrigger,
    JourneyTrigger,
    SegmentChange,
    SegmentTrigger,
    Trigger,
)
from runner.store.causes.existing import Existing
from runner.store.causes.segments import Kept
from runner.store.causes.stale import Stale
from runner.store.causes.watched import Watched

_PLAIN = (
    tree.Literal
    | tree.Members
    | tree.Logic
    | tree.Not
    | tree.Comparison
    | tree.Membership
    | tree.IsNone
    | tree.TextTest
    | tree.Matches
    | tree.Lower
    | tree.Arithmetic
    | tree.Negative
    | tree.Concatenation
    | tree.Conditional
    | tree.InSegment
)
"""Parts of an expression that hang on nothing but their own parts."""


def watched_by(journeys: Iterable[tuple[Journey, str]]) -> Watched:
    """What ``journeys``, those that contacts may enter, are triggered by beyond events that arrive. With each comes the
    zone that stands in for a missing one."""
    attributes: set[str] = set()
    consents: set[tuple[str, str]] = set()
    ends: set[str] = set()
    stale: set[tuple[str, str, int]] = set()
    segments: dict[str, Kept] = {}
    # Two triggers of a journey may find the same people: from whatever value an attribute came.
    existing: dict[str, Existing] = {}
    for journey, timezone in journeys:
        for trigger in journey.triggers:
            match trigger:
                case AttributeTrigger(attribute=name):
                    attributes.add(name)
                case ConsentTrigger(topic=topic, channel=channel, stale_after=Duration() as after):
                    stale.add((topic, channel or EVERY_CHANNEL, after.elapsed))
                case ConsentTrigger(topic=topic, channel=channel):
                    consents.add((topic, channel or EVERY_CHANNEL))
                case JourneyTrigger(journey=name):
                    ends.add(name)
                case SegmentTrigger():
                    kept = _kept(trigger, timezone)
                    known = segments.get(kept.key)
                    if known is None or kept.refresh < known.refresh:
                        segments[kept.key] = kept
            if journey.existing is ExistingPeople.ENTER and (found := _existing(journey, trigger, timezone)):
                existing.setdefault(found.key, found)
    return Watched(
        attributes=tuple(sorted(attributes)),
        consents=tuple(sorted(consents)),
        journeys=tuple(sorted(ends)),
        segments=tuple(segments[key] for key in sorted(segments)),
        existing=tuple(existing.values()),
        stale=tuple(
            Stale(topic=topic, channel=channel, after=after) for topic, channel, after in sorted(stale)
        ),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _kept(trigger: SegmentTrigger, timezone: str) -> Kept:
    definition = f"{trigger.when.canonical()} {timezone}"
    return Kept(
        key=f"{trigger.segment}:{_digest(definition)}",
        name=trigger.segment,
        when=trigger.when,
        refresh=trigger.refresh.elapsed,
        timezone=timezone,
        hears=_heard(trigger.when),
    )


def _heard(when: Expression) -> frozenset[str] | None:
    """The events that can change a condition; None where that is not known, or where time can as well."""
    reads = when.reads
    for part in tree.walk(when.tree):
        plain = isinstance(part, _PLAIN) or (
            isinstance(part, tree.Name) and part.source in ("contact", "event")
        )
        history = isinstance(part, tree.Did | tree.Count | tree.Total | tree.Last) and not part.by_account
        if not (plain or history or isinstance(part, tree.Consented)):
            return None
    if reads.time:
        return None
    heard = set(reads.events)
    if reads.attributes:
        heard.update(CONTACT_CHANGES)
    if reads.topics:
        heard |= {CONSENT_GRANTED, CONSENT_WITHDRAWN}
    return frozenset(heard)


def _existing(journey: Journey, trigger: Trigger, timezone: str) -> Existing | None:
    """Those for whom the trigger holds already; None for one that nobody can be found by."""
    match trigger:
        case SegmentTrigger(change=SegmentChange.ENTER, when=when, segment=name):
            properties, definition = {"segment": name}, f"segment {when.canonical()} {timezone}"
            return _made(journey, trigger, timezone, definition, properties, when=when)
        case AttributeTrigger(attribute=name, becomes=Expression() as becomes):
            definition = f"attribute {becomes.canonical()}"
            return _made(journey, trigger, timezone, definition, {"attribute": name}, when=becomes)
        case ConsentTrigger(topic=topic, channel=channel, change=change) if change is not ConsentChange.STALE:
            of = channel or EVERY_CHANNEL
            properties = {"topic": topic, "channel": of, "of": of, "change": str(change)}
            return _made(
                journey, trigger, timezone, f"consent {topic} {of} {change}", properties, consent=(topic, of)
            )
        case _:
            return None


def _made(
    journey: Journey,
    trigger: Trigger,
    timezone: str,
    definition: str,
    properties: dict[str, str],
    *,
    when: Expression | None = None,
    consent: tuple[str, str] | None = None,
) -> Existing:
    return Existing(
        key=f"{journey.name}:{_digest(definition)}",
        journey=journey.name,
        event=trigger.event,
        properties=tuple(properties.items()),
        when=when,
        consent=consent,
        timezone=timezone,
    )
