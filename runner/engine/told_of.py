"""Of which messages events tell, where they name them as a provider does, by the Message-ID of the mail, by the
idempotency key or its beginning, or by what the provider itself has called it; and which of those that name one, so or
by its step, tell of none that their contact has had.

A provider knows nothing of runs. The key of a message is computed of its place, so it is not looked up: the keys of
those messages are computed that the contact of the event has had. So nobody's event ever counts for somebody else's
message, and an id that nobody has given out, or a step at which the contact was sent nothing, counts for none, and
closes nobody's address (``store/causes/feedback.py``): it is another contact's, or another tool's.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from runner.engine.prepare import idempotency_key
from runner.journey.catalog import MESSAGE_EVENTS
from runner.journey.values import MILLIONTHS
from runner.store.deployment import Deployment
from runner.store.people.arrival import Arrival
from runner.store.sending.sent_to import SentTo, messages_to
from runner.store.statement import Connection

NAMED_BY = "message"
"""The property that names the message."""

_Place = tuple[str, int, str, int] | tuple[str, str, str]

_KEY = re.compile(r"<?([0-9a-f]{64})(?:@[^<>\s]*)?>?", re.IGNORECASE)
_BEGINNING = re.compile(r"[0-9a-f]{12,63}", re.IGNORECASE)
"""Of a key, as long as `journeys messages list` shows it, or longer."""


def with_messages(
    connection: Connection, deployment: Deployment, arrivals: Sequence[Arrival]
) -> tuple[Sequence[Arrival], Sequence[Arrival]]:
    """The arrivals; those that name a message by its id that their contact has had say its run, journey, step and
    visit. And those that name one which their contact has not had, neither by its id nor by its step: these stay as
    they came."""
    by_id = {at: name for at, arrival in enumerate(arrivals) if (name := _named(arrival)) is not None}
    by_step = {
        at: place for at, arrival in enumerate(arrivals) if (place := _said_place(arrival)) is not None
    }
    naming = sorted(by_id.keys() | by_step.keys())
    if not naming:
        return arrivals, ()
    wanted = {(arrivals[at].contact, name) for at, name in by_id.items()}
    found: dict[tuple[str, str], SentTo] = {}
    beginnings: defaultdict[str, list[str]] = defaultdict(list)
    for contact, name in wanted:
        if _BEGINNING.fullmatch(name):
            beginnings[contact].append(name)
    begun: defaultdict[tuple[str, str], list[SentTo]] = defaultdict(list)
    places: set[_Place] = set()
    for sent in messages_to(connection, deployment, (arrivals[at].contact for at in naming)):
        places.add((sent.contact_key, sent.key.run, sent.key.step, sent.key.visit))
        places.add((sent.contact_key, sent.journey, sent.key.step))
        if not by_id:
            continue
        key = idempotency_key(deployment.as_of(sent.let_go_at), sent.key, sent.made_in)
        for name in (key, sent.provider_id):
            if name is not None and (sent.contact_key, name) in wanted:
                found[sent.contact_key, name] = sent
        for beginning in beginnings.get(sent.contact_key, ()):
            if key.startswith(beginning.lower()):
                begun[sent.contact_key, beginning].append(sent)
    # What a provider calls a message is asked first, and the beginning of two keys names neither.
    found = {asked: only for asked, (only, *more) in begun.items() if not more} | found
    told = list(arrivals)
    unknown = []
    for at in naming:
        if (of := found.get((arrivals[at].contact, by_id.get(at, "")))) is not None:
            told[at] = replace(arrivals[at], properties={**arrivals[at].properties, **_place(of)})
        elif by_step.get(at) not in places:
            unknown.append(arrivals[at])
    return told, unknown


def _named(arrival: Arrival) -> str | None:
    """The message that an event names: the key of which a Message-ID was made, or what the provider calls it."""
    if arrival.name not in MESSAGE_EVENTS or not (text := arrival.properties.get(NAMED_BY)):
        return None
    text = text.strip()
    ours = _KEY.fullmatch(text)
    return ours[1].lower() if ours else text.removeprefix("<").removesuffix(">")


def _said_place(arrival: Arrival) -> _Place | None:
    """The contact, with the run, step and visit that an event itself says, or else with the journey and step; None
    where it says neither."""
    said = arrival.properties
    if arrival.name not in MESSAGE_EVENTS or not (step := said.get("step")):
        return None
    if (run := said.get("run")) is not None:
        return arrival.contact, run // MILLIONTHS, step, said.get("visit", MILLIONTHS) // MILLIONTHS
    # What is named by its id was sent in a run, which a journey does not tell.
    if (journey := said.get("journey")) and not said.get(NAMED_BY):
        return arrival.contact, journey, step
    return None


def _place(of: SentTo) -> dict[str, Any]:
    """Which message it was, as properties of an event in their stored form."""
    return {
        "run": of.key.run * MILLIONTHS,
        "journey": of.journey,
        "step": of.key.step,
        "visit": of.key.visit * MILLIONTHS,
    }
