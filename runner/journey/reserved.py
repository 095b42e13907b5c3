"""The reserved events that start, wake or end runs and that nobody sends: what happens to a contact's state, to time,
and to other journeys. Each has properties of known types."""

from __future__ import annotations

from collections.abc import Mapping

from runner.journey.values import DATE, DATETIME, NUMBER, STRING, ValueType

ATTRIBUTE_CHANGED = "Attribute Changed"
SEGMENT_ENTERED = "Segment Entered"
SEGMENT_LEFT = "Segment Left"
CONSENT_CHANGED = "Consent Changed"
SCHEDULE_FIRED = "Schedule Fired"
DATE_REACHED = "Date Reached"
JOURNEY_ENDED = "Journey Ended"
ENROLLED = "Enrolled"

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
