"""The reserved events that start, wake or end runs and that nobody sends: what happens to a contact's state, to time,
and to other journeys. Each has properties of known types."""

from __future__ import annotations

from collections.abc import Mapping

from runner.journey.catalog import (
    ACCOUNT_IDENTIFIED,
    CALL_ANSWERED,
    CONTACT_UPDATED,
    IDENTIFIED,
    LINK_PRESSED,
)
from runner.journey.values import DATE, DATETIME, NUMBER, STRING, ValueType

ATTRIBUTE_CHANGED = "Attribute Changed"
SEGMENT_ENTERED = "Segment Entered"
SEGMENT_LEFT = "Segment Left"
CONSENT_CHANGED = "Consent Changed"
SCHEDULE_FIRED = "Schedule Fired"
DATE_REACHED = "Date Reached"
JOURNEY_ENDED = "Journey Ended"
ENROLLED = "Enrolled"
SEGMENT_DUE = "Segment Due"
"""At which a segment is looked at since time alone may have turned it."""
CIRCLE_BROKEN = "Circle Broken"
"""What an event is called that nobody hears, since a contact has caused too many at one instant."""

EXISTING = "existing"
"""The property that names a journey, of an event that is for that journey alone: it is about somebody for whom the
trigger held already when the journey was applied."""

TIMED = frozenset({SCHEDULE_FIRED, DATE_REACHED})
"""What time itself causes. Several such events may stand for one cause: a local time that comes twice for somebody who
travels, a date that is moved and moved back. They say themselves for which."""

PROPERTIES: Mapping[str, Mapping[str, ValueType]] = {
    ATTRIBUTE_CHANGED: {"attribute": STRING},  # and `old` and `new`, of the attribute's own type
    SEGMENT_ENTERED: {"segment": STRING},
    SEGMENT_LEFT: {"segment": STRING},
    CONSENT_CHANGED: {"topic": STRING, "channel": STRING, "change": STRING},
    SCHEDULE_FIRED: {"journey": STRING, "at": DATETIME},
    DATE_REACHED: {"journey": STRING, "date": DATE},
    JOURNEY_ENDED: {"journey": STRING, "outcome": STRING, "run": NUMBER},
    ENROLLED: {"journey": STRING},  # and the properties that the journey's trigger declares
}
"""What a run may read of each as ``trigger.*``. Authors speak of these events by a form of trigger, not by name."""

OWN_EVENTS = frozenset(
    {
        *PROPERTIES,
        ACCOUNT_IDENTIFIED,
        CALL_ANSWERED,
        CIRCLE_BROKEN,
        CONTACT_UPDATED,
        IDENTIFIED,
        LINK_PRESSED,
        SEGMENT_DUE,
    }
)
"""All events of which no journey, catalog or expression may speak by name. Whoever declared one of them would hear what
the runner says to itself, and people would enter who do not belong."""
