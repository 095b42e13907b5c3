"""What a line speaks of, held against the catalog: an event and its properties, a topic and a channel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runner.engine.line import BadLine, key_of, shown
from runner.engine.nearly_reserved import nearly_reserved
from runner.journey.catalog import (
    ACCOUNT_IDENTIFIED,
    ADDRESS_OF,
    CONSENT_GRANTED,
    CONSENT_WITHDRAWN,
    CONTACT_UPDATED,
    EVERY_CHANNEL,
    IDENTIFIED,
    MESSAGE_EVENTS,
    MESSAGE_PROPERTIES,
    Catalog,
)
from runner.journey.fit import Fitted, fit_event
from runner.journey.longest import LONGEST_KEY
from runner.journey.words import known

BY_SPACES = "topics are separated by spaces"
_WHERE_TO = ("channel", "address")
_RESERVED = (ACCOUNT_IDENTIFIED, CONTACT_UPDATED, IDENTIFIED)


def event_name(value: object) -> str:
    """The name that ``value`` gives an event. Raises BadLine where it is none, or reserved."""
    name = key_of(value, "event")
    if name in _RESERVED:
        raise BadLine(f"the event name {name!r} is reserved")
    return name


def fitted_event(catalog: Catalog, name: str, raw: Mapping[str, object]) -> Fitted:
    """The properties of an event. Raises BadLine where it must not be taken.

    A consent must name a topic and a channel of the catalog: others would be recorded and never looked at, and a
    withdrawal that is lost is worse than a line that is told. So is what became of a message, which without a word of
    it would be about another one, or about all the contact's addresses; and by a channel that nobody knows about none.
    """
    if name not in catalog.events and (meant := nearly_reserved(name)):
        raise BadLine(
            f"unknown event {shown(name)}. Did you mean `{meant}`? If not, declare it in the catalog"
        )
    if name in MESSAGE_EVENTS:
        # An empty text says nothing, rather than that it went nowhere.
        raw = {word: value for word, value in raw.items() if value != "" or word not in _WHERE_TO}
    fitted = fit_event(catalog, name, raw)
    if name in MESSAGE_EVENTS:
        for word, misfit in fitted.rejected.items():
            if word in MESSAGE_PROPERTIES:
                raise BadLine(f"`{word}` of {name} is {misfit.why}: {shown(misfit.value)}")
        went_by = fitted.properties.get("channel")
        if went_by is not None and went_by not in {*catalog.channels, *ADDRESS_OF}:
            raise BadLine(_unknown_of("channel", went_by, catalog.channels))
    if name in (CONSENT_GRANTED, CONSENT_WITHDRAWN):
        topic, channel = fitted.properties.get("topic"), fitted.properties.get("channel") or EVERY_CHANNEL
        if not topic:
            raise BadLine(f"{name} without a `topic`")
        if why := _unknown(topic, channel, catalog):
            raise BadLine(why)
    return fitted


def topic_and_channel(catalog: Catalog, text: str) -> tuple[str, str]:
    """``TOPIC``, ``TOPIC:CHANNEL`` or ``CHANNEL:TOPIC``: the catalog knows which is which. Raises BadLine."""
    if "," in text or ";" in text:
        raise BadLine(f"`consents` is {shown(text)}: {BY_SPACES}")
    topic, colon, channel = text.partition(":")
    if not topic or (colon and not channel):
        raise BadLine(f"`consents` names {shown(text)}, not TOPIC or TOPIC:CHANNEL")
    if topic not in catalog.topics and channel in catalog.topics:
        topic, channel = channel, topic
    if why := _unknown(topic, channel or EVERY_CHANNEL, catalog):
        raise BadLine(f"`consents` names {shown(text)}: {why}")
    return topic, channel or EVERY_CHANNEL


def _unknown(topic: str, channel: str, catalog: Catalog) -> str | None:
    """What of a consent the catalog does not have."""
    for what, name, names in (("topic", topic, catalog.topics), ("channel", channel, catalog.channels)):
        if name not in names and (what, name) != ("channel", EVERY_CHANNEL):
            return _unknown_of(what, name, names)
    return None


def _unknown_of(what: str, name: str, names: Iterable[str]) -> str:
    return f"unknown {what} {shown(name)}. {known(what, names, name[:LONGEST_KEY])}"
