"""One contact, its consents and its story, as text for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from runner.insight.present import reason_text
from runner.insight.status import SHORT_HASH
from runner.insight.step_names import step_text
from runner.journey.catalog import EVERY_CHANNEL, IDENTIFIED, MESSAGE_EVENTS, RESERVED_PROPERTIES, Catalog
from runner.journey.fit import present
from runner.journey.shown import printable
from runner.journey.values import MILLIONTHS, ValueType
from runner.store.people.contacts import Consent, Contact
from runner.store.sending.suppressed_addresses import KeptFrom
from runner.store.watching.called_now import NO_NAMES, StepNames
from runner.store.watching.story import Chapter, Entry


def contact_text(
    contact: Contact,
    consents: Sequence[Consent],
    suppressed: Sequence[KeptFrom],
    entries: Sequence[Entry],
    catalog: Catalog,
    names: StepNames = NO_NAMES,
) -> str:
    """A page for people. Instants are UTC; steps that are called otherwise today (``names``) say so."""
    return "\n".join(
        printable(line) for line in _lines(contact, consents, suppressed, entries, catalog, names)
    )


def _lines(
    contact: Contact,
    consents: Sequence[Consent],
    suppressed: Sequence[KeptFrom],
    entries: Sequence[Entry],
    catalog: Catalog,
    names: StepNames,
) -> Iterator[str]:
    yield f"{contact.key}, known since {contact.created_at:%Y-%m-%d %H:%M}"
    for name, value in _values(contact, catalog):
        yield f"  {name}: {value}"
    yield ""
    yield "Consents" if consents else "No consents"
    for consent in consents:
        channel = "every channel" if consent.channel == EVERY_CHANNEL else consent.channel
        yield f"  {consent.topic}, {channel}: {consent.state} since {consent.since:%Y-%m-%d %H:%M}"
    if suppressed:
        yield ""
        yield "Suppressed"
    for one in suppressed:
        whose = "" if one.own else ", told of somebody else who has this address"
        yield f"  {one.channel}, {one.address}: {one.reason} since {one.since:%Y-%m-%d %H:%M}{whose}"
    yield ""
    yield "Story (UTC)" if entries else "No story: no journey has seen this contact"
    runs = {entry.run: entry for entry in entries if entry.chapter is Chapter.ENTERED}
    for entry in entries:
        told = _feedback(entry, runs, names) if entry.name in MESSAGE_EVENTS else _told(entry, names)
        yield f"  {entry.at:%Y-%m-%d %H:%M:%S}  {told}"


def _values(contact: Contact, catalog: Catalog) -> Iterator[tuple[str, str]]:
    for name in ("email", "phone", "timezone", "locale"):
        value = getattr(contact, name)
        if value is not None:
            yield name, value
    if contact.tags:
        yield "tags", ", ".join(contact.tags)
    for name, stored in sorted(contact.attributes.items()):
        value = _present(name, stored, catalog)
        yield name, format(value, "f") if isinstance(value, Decimal) else str(value)


def _present(name: str, stored: Any, catalog: Catalog) -> Any:
    """The value by the type of today's catalog; as it is stored where the catalog does not know it any
    more."""
    return _typed(stored, catalog.attribute_type(name))


def _typed(stored: Any, type_: ValueType | None) -> Any:
    try:
        return stored if type_ is None else present(stored, type_)
    except (TypeError, ValueError, ArithmeticError):
        # Stored when the catalog gave it another type.
        return stored


def told_of(entries: Sequence[Entry], *, every_event: bool) -> list[Entry]:
    """The entries of which a story tells: of what arrived, what became of messages, or all of it."""
    return [
        entry
        for entry in entries
        if every_event or entry.chapter is not Chapter.RECEIVED or entry.name in MESSAGE_EVENTS
    ]


def _run(entry: Entry) -> str:
    """Two runs of one journey are told apart by what they are about."""
    return f"{entry.name} ({entry.per})" if entry.per else entry.name


def _feedback(entry: Entry, runs: Mapping[int, Entry], names: StepNames) -> str:
    """``welcome: hello → clicked (cart)``; ``runs`` are how the contact's runs began, by their ids."""
    said = entry.properties
    became = entry.name.removeprefix("Message ").lower()
    more = [
        text
        for text in (
            said.get("link"),
            "soft" * bool(said.get("soft")),
            "by a machine" * bool(said.get("bot")),
        )
        if text
    ]
    how = f" ({', '.join(more)})" if more else ""
    run = runs.get(said.get("run", 0) // MILLIONTHS)
    journey = run.name if run else said.get("journey")
    if said.get("step") is None:
        name = f" {said['message']}" if said.get("message") else ""
        return f"a message{name}, of no known step → {became}{how}"
    whose = f"{_run(run) if run else journey}: " if journey else ""
    return f"{whose}{step_text(journey or '', said['step'], names)} → {became}{how}"


def _told(entry: Entry, names: StepNames) -> str:
    run, step = _run(entry), step_text(entry.name, entry.step or "", names)
    paused = "; the journey is paused" if entry.paused else ""
    match entry.chapter:
        case Chapter.RECEIVED:
            return f"event {entry.name}"
        case Chapter.ENTERED:
            return f"{run}: entered"
        case Chapter.DEFERRED:
            return f"{run}: {step} deferred: {entry.outcome} until {entry.due_at:%Y-%m-%d %H:%M:%S}"
        case Chapter.STANDS:
            until = f" until {entry.due_at:%Y-%m-%d %H:%M:%S}" if entry.due_at else ""
            why = f", deferred: {entry.outcome}" if entry.outcome else ""
            return f"{run}: stands on {step}{why}{until}{paused}{_carried(entry)}"
        case Chapter.ENDED:
            how = f"exited: {entry.outcome}" if entry.outcome else str(entry.status)
            return f"{run}: {how}{_carried(entry)}"
        case Chapter.LEFT:
            if entry.message is None:
                return f"{run}: {step} → {entry.outcome}"
            again = None if entry.paused else entry.message.available_at
            why = reason_text(entry.message.reason, again, entry.at)
            reason = f" ({why})" if why else ""
            status = f"{entry.message.channel} {entry.message.status}{reason}{paused}"
            return f"{run}: {step} → message by {status}"


def _carried(entry: Entry) -> str:
    """Of a run that did not stay in the version that it entered: the one in which it is, or has ended."""
    if entry.version is None:
        return ""
    times = "carried over" if entry.carried == 1 else f"carried over {entry.carried} times, last"
    when = f" at {entry.carried_at:%Y-%m-%d %H:%M:%S}" if entry.carried_at else ""
    return f"; {times} into version {entry.version[:SHORT_HASH]}{when}"


def contact_json(
    contact: Contact,
    consents: Sequence[Consent],
    suppressed: Sequence[KeptFrom],
    entries: Sequence[Entry],
    catalog: Catalog,
    names: StepNames = NO_NAMES,
) -> dict[str, Any]:
    """The same for programs. Numbers are decimal text: they have up to 19 digits, and a reader that takes JSON numbers
    for floating point keeps 15. Instants are ISO 8601."""
    return {
        "contact": contact.key,
        "created_at": contact.created_at.isoformat(),
        "email": contact.email,
        "phone": contact.phone,
        "timezone": contact.timezone,
        "locale": contact.locale,
        "tags": list(contact.tags),
        "attributes": {
            name: _plain(_present(name, stored, catalog))
            for name, stored in sorted(contact.attributes.items())
        },
        "consents": [
            {
                "topic": consent.topic,
                "channel": consent.channel,
                "state": consent.state,
                "since": consent.since.isoformat(),
            }
            for consent in consents
        ],
        "suppressed": [
            {
                "channel": one.channel,
                "address": one.address,
                "reason": one.reason,
                "since": one.since.isoformat(),
                "told_of_this_contact": one.own,
            }
            for one in suppressed
        ],
        "story": [_entry_json(entry, catalog, names) for entry in entries],
    }


def _types(event: str, catalog: Catalog) -> Mapping[str, ValueType]:
    """The types of an event's properties by today's catalog."""
    if event == IDENTIFIED:
        return {name: attribute.type for name, attribute in catalog.attributes.items()}
    declared = catalog.events.get(event)
    return declared.properties if declared else RESERVED_PROPERTIES.get(event, {})


def _entry_json(entry: Entry, catalog: Catalog, names: StepNames) -> dict[str, Any]:
    told: dict[str, Any] = {"at": entry.at.isoformat(), "what": entry.chapter, "name": entry.name}
    if entry.chapter is Chapter.RECEIVED:
        types = _types(entry.name, catalog)
        told["properties"] = {
            name: _plain(_typed(stored, types.get(name))) for name, stored in sorted(entry.properties.items())
        }
    if entry.run:
        told["run"] = entry.run
        told["per"] = entry.per or None
    if entry.chapter in (Chapter.STANDS, Chapter.DEFERRED):
        told["due_at"] = entry.due_at.isoformat() if entry.due_at else None
    if entry.paused:
        told["paused"] = True
    if entry.version is not None:
        told["carried"], told["version"] = entry.carried, entry.version
        told["carried_at"] = entry.carried_at.isoformat() if entry.carried_at else None
    for name in ("step", "outcome", "status"):
        if getattr(entry, name) is not None:
            told[name] = getattr(entry, name)
    if entry.step is not None:
        told["step_now"] = names.get((entry.name, entry.step), entry.step)
    if entry.message is not None:
        told["message"] = {
            "channel": entry.message.channel,
            "status": entry.message.status,
            "reason": entry.message.reason,
        }
        if entry.message.available_at is not None:
            told["message"]["available_at"] = entry.message.available_at.isoformat()
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
