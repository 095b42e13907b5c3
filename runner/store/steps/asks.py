"""What runs ask of others: calls, tasks, changes of audiences. Each is a row of the outbox, written at the step with
all that is handed over; delivery does the rest. Runs that want an answer stand at the step until it comes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    String,
    Text,
    and_,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.catalog import ASKED_BY_CALL
from runner.journey.duration import Duration
from runner.journey.expression import Expression
from runner.journey.graph import SKIPPED, Node
from runner.journey.model import AdAudience, Call, HandOff
from runner.journey.model.acts import JsonList, JsonObject, JsonValue
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, at_node, pass_on
from runner.store.passes.program import MOVING_CONTACT, MOVING_RUN, ProgramSql
from runner.store.passes.working import moving
from runner.store.predicates import json_value
from runner.store.statement import Statement
from runner.store.steps.acts import ACTS, leave_unless_held_out
from runner.store.steps.behind import has_message
from runner.store.steps.waits.arrived import comes_for_the_first_time
from runner.store.tables import MessageKind, MessageStatus, contact, message, run
from runner.store.types import constant, json_list, json_object, shifted

LONGEST = Duration(days=7)
"""How long a change of an audience may be late."""


def ask(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Put what the step at ``node`` asks into the outbox. Those who are held out go on without; where nobody answers,
    the others go on, too."""
    if not isinstance(node.verb, AdAudience):
        sql.once(("skip", node.index), lambda: _skipping(sql, node)).run(connection, n=n)
    sql.once(("ask", node.index), lambda: _asking(sql, node)).run(connection, n=n)
    if isinstance(node.verb, AdAudience):
        leave_unless_held_out(sql, node, connection, n)


def _has_asked(sql: ProgramSql, node: Node) -> ColumnElement[bool]:
    """Whether a run has asked before it came here, and not while it stood here: in an earlier version."""
    return and_(comes_for_the_first_time(node), has_message(sql, node))


def _skipping(sql: ProgramSql, node: Node) -> Statement:
    way = constant(sql.ways.leaving(node, SKIPPED))
    return pass_on(
        sql,
        select(*RUN_KEY_AND_INSTANT, way)
        .select_from(moving.join(run, MOVING_RUN))
        .where(at_node(sql, node), or_(~ACTS, _has_asked(sql, node)) if sql.follows else ~ACTS),
    )


def _asking(sql: ProgramSql, node: Node) -> Statement:
    verb = node.verb
    assert isinstance(verb, Call | HandOff | AdAudience)
    kind, channel, length = _kind(verb)
    row = {
        "partition": moving.c.partition,
        "contact": moving.c.contact,
        "run": moving.c.run,
        "step": literal(node.step.id, String()),
        "visit": run.c.visit,
        "journey": literal(sql.program.journey.name, String()),
        "version": constant(sql.version),
        "channel": literal(channel, String()),
        "topic": literal_column("''", Text()),
        "kind": constant(kind.value),
        "status": constant(MessageStatus.READY.value),
        "let_go_at": moving.c.at,
        "expires_at": shifted(moving.c.at, constant(length.elapsed)),
        "attempts": literal_column("0"),
        "available_at": moving.c.at,
        "payload": _payload(sql, verb),
    }
    insert = (postgresql if sql.dialect == "postgresql" else sqlite).insert(message)
    found = select(*row.values()).select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT))
    found = found.where(at_node(sql, node), ACTS, *([~has_message(sql, node)] if sql.follows else []))
    # A run that is taken up again where it stands has asked already.
    return Statement(insert.from_select(list(row), found).on_conflict_do_nothing())


def _kind(verb: Call | HandOff | AdAudience) -> tuple[MessageKind, str, Duration]:
    """What the row is, by which channel it leaves, and until when that makes sense."""
    match verb:
        case Call(up_to=up_to):
            return MessageKind.CALL, ASKED_BY_CALL, up_to
        case HandOff(channel=channel, hours=hours, sla=sla):
            # Business hours make an SLA longer, by a week and more.
            return MessageKind.TASK, channel, sla if hours is None else Duration(days=LONGEST.days + 31)
    return MessageKind.AUDIENCE, verb.channel, LONGEST


def _payload(sql: ProgramSql, verb: Call | HandOff | AdAudience) -> ColumnElement[Any]:
    """What is handed over, values in their stored form."""
    row = sql.row(moving)

    def made(value: JsonValue) -> ColumnElement[Any]:
        match value:
            case Expression():
                return json_value(value, row, sql.dialect)
            case JsonObject(members=members):
                return as_object({key: made(inner) for key, inner in members})
            case JsonList(items=items):
                return json_list(*map(made, items))

    def as_object(members: dict[str, ColumnElement[Any]]) -> ColumnElement[Any]:
        return json_object(
            *(part for key, found in members.items() for part in (literal(key, Text()), found))
        )

    def text(words: str) -> ColumnElement[Any]:
        return literal(words, Text())

    match verb:
        case Call():
            members = {"url": made(verb.url)}
            if verb.json is not None:
                members["json"] = made(verb.json)
            if verb.headers:
                members["headers"] = as_object({name: made(found) for name, found in verb.headers})
        case HandOff():
            members = {"to": text(verb.to)}
            if verb.reason is not None:
                members["reason"] = made(verb.reason)
        case AdAudience():
            members = {"audience": text(verb.audience), "action": text("add" if verb.adds else "remove")}
    return as_object(members)
