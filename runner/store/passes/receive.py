"""What an event does to its contact, to goals, and to runs that it ends or wakes.

One event a contact and pass, so that no statement meets the same contact twice.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, EVERY_CHANNEL, IDENTIFIED, OWN_FIELDS
from runner.store.local_time.zones import ensure_zones, known_zone
from runner.store.passes.program import WAVE_EVENT
from runner.store.passes.working import in_pass, moving, wave
from runner.store.people.places import belongs_in
from runner.store.statement import Statement
from runner.store.tables import ConsentState, consent, consent_log, contact, event, zone_offset
from runner.store.types import Json, constant, json_has, json_member, json_merged, json_text, json_without

_HANDLED = Statement(
    update(event).values(pending=False).where(in_pass(wave), wave.c.past.is_(None), WAVE_EVENT)
)


def mark_handled(connection: Connection, n: int) -> None:
    """The events of pass ``n`` belong to the past from here on: history functions see them."""
    _HANDLED.run(connection, n=n)


def _trait(column: Column[str]) -> ColumnElement[str]:
    key = constant(column.name)
    return case((json_has(wave.c.properties, key), json_text(wave.c.properties, key)), else_=column)


_IDENTIFY = Statement(
    update(contact)
    .values(
        {contact.c[name]: _trait(contact.c[name]) for name in OWN_FIELDS}
        | {
            contact.c.belongs_in: case(
                (
                    json_has(wave.c.properties, constant("account")),
                    belongs_in(json_text(wave.c.properties, constant("account"))),
                ),
                else_=contact.c.belongs_in,
            ),
            contact.c.attributes: json_merged(
                contact.c.attributes, json_without(wave.c.properties, *map(constant, (*OWN_FIELDS, "tags")))
            ),
            contact.c.tags: case(
                (
                    json_has(wave.c.properties, constant("tags")),
                    func.coalesce(
                        json_member(wave.c.properties, constant("tags")), literal_column("'[]'", Json())
                    ),
                ),
                else_=contact.c.tags,
            ),
        }
    )
    .where(
        in_pass(wave),
        wave.c.name == literal_column(f"'{IDENTIFIED}'"),
        contact.c.partition == wave.c.partition,
        contact.c.id == wave.c.contact,
    )
)


def apply_traits(connection: Connection, n: int) -> None:
    """Write the traits of the identify events of pass ``n`` to their contacts; an explicit null clears a trait."""
    _IDENTIFY.run(connection, n=n)


_topic = json_text(wave.c.properties, constant("topic"))
_channel = func.coalesce(
    json_text(wave.c.properties, constant("channel")), literal_column(f"'{EVERY_CHANNEL}'")
)
_state = case(
    # One that is yet to be confirmed says so itself: see causes/double_opt_in.py.
    (
        json_text(wave.c.properties, constant("state")) == constant(ConsentState.PENDING.value),
        constant(ConsentState.PENDING.value),
    ),
    (wave.c.name == literal_column(f"'{CONSENT_GRANTED}'"), constant(ConsentState.GIVEN.value)),
    else_=constant(ConsentState.WITHDRAWN.value),
)
_is_consent = and_(
    in_pass(wave),
    wave.c.name.in_([literal_column(f"'{CONSENT_GRANTED}'"), literal_column(f"'{CONSENT_WITHDRAWN}'")]),
    _topic.is_not(None),
    # What a step gave or withdrew was recorded there.
    ~json_has(wave.c.properties, constant("run")),
)
_CONSENT_ALL = Statement(
    update(consent)
    .values(state=_state, since=wave.c.at)
    .where(
        _is_consent,
        _channel == literal_column(f"'{EVERY_CHANNEL}'"),
        consent.c.partition == wave.c.partition,
        consent.c.contact == wave.c.contact,
        consent.c.topic == _topic,
    )
)


def consents_of_pass() -> Select[Any]:
    """The consents that the events of a pass give or withdraw: partition, contact, event, at, topic, channel, state."""
    return select(
        wave.c.partition,
        wave.c.contact,
        wave.c.event,
        wave.c.at,
        _topic.label("topic"),
        _channel.label("channel"),
        _state.label("state"),
    ).where(_is_consent)


_consent_rows = select(wave.c.partition, wave.c.contact, _topic, _channel, _state, wave.c.at).where(
    _is_consent
)
_CONSENT_COLUMNS = ["partition", "contact", "topic", "channel", "state", "since"]


def _upsert(dialect: object) -> Statement:
    statement = dialect.insert(consent).from_select(_CONSENT_COLUMNS, _consent_rows)  # type: ignore[attr-defined]
    return Statement(
        statement.on_conflict_do_update(
            index_elements=["partition", "contact", "topic", "channel"],
            set_={"state": statement.excluded.state, "since": statement.excluded.since},
        )
    )


_CONSENT = {"sqlite": _upsert(sqlite), "postgresql": _upsert(postgresql)}
_last_proof = (
    select(func.coalesce(func.max(consent_log.c.id), 0))
    .where(consent_log.c.partition == wave.c.partition, consent_log.c.contact == wave.c.contact)
    .scalar_subquery()
)
_PROOF = Statement(
    insert(consent_log).from_select(
        ["partition", "contact", "id", "topic", "channel", "state", "at", "source", "wording"],
        select(
            wave.c.partition,
            wave.c.contact,
            _last_proof + 1,
            _topic,
            _channel,
            _state,
            wave.c.at,
            json_text(wave.c.properties, constant("source")),
            json_text(wave.c.properties, constant("wording")),
        ).where(_is_consent),
    )
)


def record_consent(connection: Connection, n: int) -> None:
    """Write the consent events of pass ``n``: the state, and the proof. One without topic changes nothing."""
    _CONSENT_ALL.run(connection, n=n)
    _CONSENT[connection.dialect.name].run(connection, n=n)
    _PROOF.run(connection, n=n)


def _zones(rows: Table) -> Statement:
    living = (
        select(contact.c.timezone)
        .select_from(
            rows.join(contact, and_(contact.c.partition == rows.c.partition, contact.c.id == rows.c.contact))
        )
        .where(in_pass(rows))
        # Where hardly anybody has a zone, PostgreSQL would read the index of those who have for each contact.
        .suffix_with("OFFSET 0", dialect="postgresql")
        .subquery("living")
    )
    known = exists(select(literal_column("1")).where(zone_offset.c.zone == living.c.timezone))
    return Statement(select(living.c.timezone).where(living.c.timezone.is_not(None), ~known).distinct())


def _forget_zone(rows: Table) -> Statement:
    return Statement(
        update(contact)
        .values(timezone=None)
        .where(
            in_pass(rows),
            contact.c.partition == rows.c.partition,
            contact.c.id == rows.c.contact,
            contact.c.timezone == bindparam("zone", type_=Text()),
        )
    )


_ZONES = {rows: (_zones(rows), _forget_zone(rows)) for rows in (wave, moving)}


def load_zones_of_pass(connection: Connection, n: int, of: Table = wave) -> None:
    """Have the offsets of every zone in which a contact of pass ``n`` lives: one that has an event, or one whose run
    moves, as ``of`` says.

    A name that is no zone is taken from the contact: it would leave waits without an end.
    """
    zones, forget = _ZONES[of]
    missing = set(zones.run(connection, n=n).scalars())
    ensure_zones(connection, {zone for zone in missing if known_zone(zone)})
    for zone in missing:
        if not known_zone(zone):
            forget.run(connection, n=n, zone=zone)
