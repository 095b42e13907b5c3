"""What has to be watched so that the triggers of the journeys in force hear of it."""

from __future__ import annotations

from collections.abc import Iterable

from runner.journey.catalog import EVERY_CHANNEL
from runner.journey.model import Journey
from runner.journey.model.triggers import AttributeTrigger, ConsentTrigger, JourneyTrigger
from runner.store.causes.watched import Watched


def watched_by(journeys: Iterable[Journey]) -> Watched:
    """What ``journeys``, those that contacts may enter, are triggered by beyond events that arrive."""
    attributes: set[str] = set()
    consents: set[tuple[str, str]] = set()
    ends: set[str] = set()
    for journey in journeys:
        for trigger in journey.triggers:
            match trigger:
                case AttributeTrigger(attribute=name):
                    attributes.add(name)
                case ConsentTrigger(topic=topic, channel=channel):
                    consents.add((topic, channel or EVERY_CHANNEL))
                case JourneyTrigger(journey=name):
                    ends.add(name)
    return Watched(
        attributes=tuple(sorted(attributes)),
        consents=tuple(sorted(consents)),
        journeys=tuple(sorted(ends)),
    )
