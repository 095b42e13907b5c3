"""What runs do beyond themselves at a step: events that they record, journeys that they start, consents that they
change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, case, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.catalog import CONSENT_GRANTED, CONSENT_WITHDRAWN, EVERY_CHANNEL
from runner.journey.graph import SKIPPED, Node
from runner.journey.model import ChangeConsent, Emit, Enroll
from runner.journey.model.acts import Assigned
from runner.journey.reserved import ENROLLED
from runner.store.causes.announce import announcement, cause_key
from runner.store.causes.consents import Watch, consent_changes
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, at_node, leave, pass_on
from runner.store.passes.program import MOVING_CONTACT, MOVING_RUN, ProgramSql
from runner.store.passes.working import moving
from runner.store.predicates import json_value
from runner.store.statement import Statement
from runner.store.tables import ConsentState, consent, consent_log, contact, run
from runner.store.types import ByCodePoint, constant, json_object

ACTS = ~run.c.held_out
"""Whether a run acts on the world at all: one that is held out walks the same path, and is measured."""


def emit(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Record the event that the step at ``node`` names, and let the runs go on."""
    verb = node.verb
    assert isinstance(verb, Emit)
    tell(sql, node, connection, n, verb.event, lambda: _written(sql, verb.properties), ACTS)
    leave_unless_held_out(sql, node, connection, n)


def enroll(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Have the contacts enter the journey that the step at ``node`` names, and let the runs go on."""
    verb = node.verb
    assert isinstance(verb, Enroll)

    def properties() -> Mapping[str, ColumnElement[Any]]:
        return {**_written(sql, verb.properties), "journey": literal(verb.journey, Text())}

    tell(sql, node, connection, n, ENROLLED, properties, ACTS)
    leave_unless_held_out(sql, node, connection, n)


def tell(
    sql: ProgramSql,
    node: Node,
    connection: Connection,
    n: int,
    name: str,
    properties: Callable[[], Mapping[str, ColumnElement[Any]]],
    *conditions: ColumnElement[bool],
    part: str = "",
) -> None:
    """Store the internal event ``name`` for each run that is at ``node`` in pass ``n`` and fulfils ``conditions``.

    ``properties`` answers JSON values, read for a row of ``moving`` with its run and contact; it is asked once.
    ``part`` tells apart what one step causes.
    """

    def build() -> Statement:
        parts = [part for key, found in properties().items() for part in (literal(key, Text()), found)]
        return announcement(
            sql.dialect,
            select(
                moving.c.partition,
                moving.c.contact,
                moving.c.run,
                moving.c.at,
                literal(name, ByCodePoint()).label("name"),
                json_object(*parts).label("properties"),
                cause_key(moving.c.run, node.step.id, run.c.visit, part).label("key"),
            )
            .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT))
            .where(at_node(sql, node), *conditions),
        )

    sql.once(("tell", node.index, name), build).run(connection, n=n)


def _written(sql: ProgramSql, properties: Assigned) -> Mapping[str, ColumnElement[Any]]:
    row = sql.row(moving)
    return {name: json_value(found, row, sql.dialect) for name, found in properties}


def leave_unless_held_out(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Let the runs at ``node`` go on, the step marked as skipped for those that are held out."""

    def build() -> Statement:
        done, skipped = (constant(sql.ways.leaving(node, outcome)) for outcome in ("done", SKIPPED))
        return pass_on(
            sql,
            select(*RUN_KEY_AND_INSTANT, case((ACTS, done), else_=skipped))
            .select_from(moving.join(run, MOVING_RUN))
            .where(at_node(sql, node)),
        )

    sql.once(("leave unless held out", node.index), build).run(connection, n=n)


def change_consent(
    sql: ProgramSql, node: Node, connection: Connection, n: int, watched: Sequence[Watch] = ()
) -> None:
    """Give or withdraw a consent, and let the runs go on. Of the consents ``watched`` it is told what changes.

    It is written at once, with the step as its proof, so that the steps behind see it. Exits, waits and triggers hear
    of it by the event that arrives from elsewhere, too; that of a step names its run, and is not recorded a second
    time.
    """
    verb = node.verb
    assert isinstance(verb, ChangeConsent)
    channel, state = (
        verb.channel or EVERY_CHANNEL,
        ConsentState.GIVEN if verb.given else ConsentState.WITHDRAWN,
    )
    source = f"{sql.program.journey.name}/{node.step.id}"
    insert = (postgresql if sql.dialect == "postgresql" else sqlite).insert

    def contacts(*columns: ColumnElement[Any]) -> Select[Any]:
        """Each contact once, however many of its runs are here."""
        here = moving.join(run, MOVING_RUN)
        found = select(moving.c.partition, moving.c.contact, *columns).select_from(here)
        return found.where(at_node(sql, node)).group_by(moving.c.partition, moving.c.contact)

    at, topic = func.max(moving.c.at), literal(verb.topic, ByCodePoint())
    written = literal(state.value, ByCodePoint())

    def build_override() -> Statement:
        found = contacts(at.label("at")).subquery()
        return Statement(
            update(consent)
            .values(state=written, since=found.c.at)
            .where(
                consent.c.partition == found.c.partition,
                consent.c.contact == found.c.contact,
                consent.c.topic == topic,
            )
        )

    def build_state() -> Statement:
        rows = insert(consent).from_select(
            ["partition", "contact", "topic", "channel", "state", "since"],
            contacts(topic, literal(channel, ByCodePoint()), written, at),
        )
        return Statement(
            rows.on_conflict_do_update(
                index_elements=["partition", "contact", "topic", "channel"],
                set_={"state": rows.excluded.state, "since": rows.excluded.since},
            )
        )

    def build_proof() -> Statement:
        last = (
            select(func.coalesce(func.max(consent_log.c.id), 0))
            .where(consent_log.c.partition == moving.c.partition, consent_log.c.contact == moving.c.contact)
            .scalar_subquery()
        )
        return Statement(
            insert(consent_log).from_select(
                ["partition", "contact", "id", "topic", "channel", "state", "at", "source"],
                contacts(
                    last + 1,
                    topic,
                    literal(channel, ByCodePoint()),
                    written,
                    at,
                    literal(source, ByCodePoint()),
                ),
            )
        )

    def build_change() -> Statement:
        found = contacts(
            func.min(moving.c.run).label("run"), func.max(run.c.visit).label("visit"), at.label("at")
        ).subquery("found")
        rows = select(
            found.c.partition,
            found.c.contact,
            found.c.run,
            found.c.at,
            topic.label("topic"),
            literal(channel, ByCodePoint()).label("channel"),
            written.label("state"),
            cause_key(found.c.run, node.step.id, found.c.visit).label("key"),
        ).subquery("changing")
        return consent_changes(sql.dialect, rows, watched)

    if watched:
        sql.once(("tell of change", node.index, tuple(watched)), build_change).run(connection, n=n)
    if channel == EVERY_CHANNEL:
        sql.once(("override consents", node.index), build_override).run(connection, n=n)
    sql.once(("consent", node.index), build_state).run(connection, n=n)
    sql.once(("proof", node.index), build_proof).run(connection, n=n)

    def told() -> Mapping[str, ColumnElement[Any]]:
        texts = {"topic": verb.topic, "channel": verb.channel, "source": source}
        said = {name: literal(text, Text()) for name, text in texts.items() if text is not None}
        return {**said, "run": moving.c.run}

    tell(sql, node, connection, n, CONSENT_GRANTED if verb.given else CONSENT_WITHDRAWN, told)
    leave(sql, node, connection, n)
