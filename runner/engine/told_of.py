"""Of which messages events tell, where they name them as a provider does: by the Message-ID of the mail, by the
idempotency key, or by what the provider itself has called it.

A provider knows nothing of runs. The key of a message is computed of its place, so it is not looked up: the keys of
those messages are computed that the contact of the event has had. So nobody's event ever counts for somebody else's
message, and an id that nobody has given out counts for none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from runner.engine.prepare import idempotency_key
from runner.journey.catalog import MESSAGE_EVENTS
from runner.journey.values import MILLIONTHS
from runner.store.deployment import Deployment
from runner.store.people.events import Arrival
from runner.store.sending.sent_to import SentTo, messages_to
from runner.store.statement import Connection

NAMED_BY = "message"
"""The property that names the message."""

_KEY = re.compile(r"<?([0-9a-f]{64})(?:@[^<>\s]*)?>?", re.IGNORECASE)


def with_messages(
    connection: Connection, deployment: Deployment, arrivals: Sequence[Arrival]
) -> tuple[Sequence[Arrival], int]:
    """The arrivals; those that name a message that their contact has had say its run, journey, step and visit. And how
    many name another one: these stay as they came, as if they had named none."""
    asked = {at: name for at, arrival in enumerate(arrivals) if (name := _named(arrival)) is not None}
    if not asked:
        return arrivals, 0
    wanted = {(arrivals[at].contact, name) for at, name in asked.items()}
    found: dict[tuple[str, str], SentTo] = {}
    for sent in messages_to(connection, deployment, (contact for contact, _ in wanted)):
        as_of = deployment.as_of(sent.let_go_at)
        for name in (idempotency_key(as_of, sent.key, sent.made_in), sent.provider_id):
            if name is not None and (sent.contact_key, name) in wanted:
                found[sent.contact_key, name] = sent
    told = list(arrivals)
    unknown = 0
    for at, name in asked.items():
        if (of := found.get((arrivals[at].contact, name))) is None:
            unknown += 1
        else:
            told[at] = replace(arrivals[at], properties={**arrivals[at].properties, **_place(of)})
    return told, unknown


def _named(arrival: Arrival) -> str | None:
    """The message that an event names: the key of which a Message-ID was made, or what the provider calls it."""
    if arrival.name not in MESSAGE_EVENTS or not (text := arrival.properties.get(NAMED_BY)):
        return None
    text = text.strip()
    ours = _KEY.fullmatch(text)
    return ours[1].lower() if ours else text.removeprefix("<").removesuffix(">")


def _place(of: SentTo) -> dict[str, Any]:
    """Which message it was, as properties of an event in their stored form."""
    return {
        "run": of.key.run * MILLIONTHS,
        "journey": of.journey,
        "step": of.key.step,
        "visit": of.key.visit * MILLIONTHS,
    }
