"""Runs that a rule ends: by an event, by a condition that has come true, by a goal, by a restart."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    String,
    and_,
    bindparam,
    case,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.expression import Expression
from runner.journey.expression.tree import Name
from runner.journey.send_rules import FREQUENCY_CAP
from runner.journey.values import MILLIONTHS, NUMBER
from runner.store.held import held
from runner.store.passes.program import (
    MOVING_CONTACT,
    MOVING_RUN,
    WAVE_CONTACT,
    WAVE_RUN,
    ProgramSql,
    came,
    of_run,
    with_contact,
)
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import in_pass, leaving, moving, wave
from runner.store.predicates import Row, predicate, value
from runner.store.sending.message_statements import POSSIBLE_DUPLICATE
from runner.store.statement import Statement
from runner.store.tables import MessageStatus, RunStatus, contact, conversion, message, run
from runner.store.types import constant, earliest

_STAGE = bindparam("stage", type_=Integer())
_COLUMNS = ["stage", "partition", "contact", "run", "at", "reason"]


def into_leaving(dialect: str, query: Any) -> Statement:
    """A statement that adds rows of ``_COLUMNS`` to ``leaving``; the first reason given to a run stays."""
    insert = (postgresql if dialect == "postgresql" else sqlite).insert
    return Statement(insert(leaving).from_select(_COLUMNS, query).on_conflict_do_nothing())


def exit_on_event(sql: ProgramSql, connection: Connection, n: int, stage: int) -> int:
    """Ends runs of this version whose ``exit`` names the event of pass ``n``. Returns how many."""

    def build() -> Statement:
        row = sql.row(wave, with_event=True)
        rules = [rule for rule in sql.program.journey.exits if rule.event is not None]
        reason = case(
            *(
                (
                    and_(
                        wave.c.name == literal(rule.event),
                        *([predicate(rule.where, row, sql.dialect)] if rule.where else []),
                        *([_about_the_run(row, sql.dialect)] if rule.of_run else []),
                    ),
                    literal(rule.reason, String()),
                )
                for rule in rules
            ),
            else_=null(),
        )
        found = (
            select(wave.c.partition, wave.c.contact, run.c.id.label("run"), wave.c.at, reason.label("reason"))
            .select_from(
                with_contact(
                    wave.join(run, and_(WAVE_RUN, sql.runs)),
                    *(rule.where for rule in rules),
                )
            )
            .where(in_pass(wave), wave.c.event.is_not(None))
            .suffix_with("OFFSET 0", dialect="postgresql")
            .subquery()
        )
        return into_leaving(sql.dialect, select(_STAGE, *found.c).where(found.c.reason.is_not(None)))

    return sql.once("exit on event", build).run(connection, n=n, stage=stage).rowcount


def _about_the_run(row: Row, dialect: str) -> ColumnElement[bool]:
    """Whether the event names the run, as what becomes of a message does."""
    named = Expression("event.run", Name("event", ("run",), NUMBER), NUMBER)
    return value(named, row, dialect) == run.c.id * constant(MILLIONTHS)


def _reason_by_condition(sql: ProgramSql, source: Any) -> ColumnElement[Any]:
    row = sql.row(source)
    return case(
        *(
            (predicate(rule.when, row, sql.dialect), literal(rule.reason, String()))
            for rule in sql.program.journey.exits
            if rule.when is not None
        ),
        else_=null(),
    )


def exit_on_condition_after_event(sql: ProgramSql, connection: Connection, n: int, stage: int) -> int:
    """Ends those active runs of the contacts of pass ``n`` for which a ``when`` holds, now that the event is past."""

    def build() -> Statement:
        found = (
            select(
                wave.c.partition,
                wave.c.contact,
                run.c.id.label("run"),
                wave.c.at,
                _reason_by_condition(sql, wave).label("reason"),
            )
            .select_from(wave.join(contact, WAVE_CONTACT).join(run, and_(WAVE_RUN, sql.runs)))
            .where(in_pass(wave), wave.c.event.is_not(None))
            .suffix_with("OFFSET 0", dialect="postgresql")
            .subquery()
        )
        return into_leaving(sql.dialect, select(_STAGE, *found.c).where(found.c.reason.is_not(None)))

    return sql.once("exit on condition after event", build).run(connection, n=n, stage=stage).rowcount


def exit_on_condition(
    sql: ProgramSql, connection: Connection, n: int, stage: int, *, behind: int | None = None
) -> int:
    """Ends those runs that move in pass ``n`` for which a ``when`` holds; only those that have just left node
    ``behind``, where it is given."""

    def build() -> Statement:
        found = (
            select(
                moving.c.partition,
                moving.c.contact,
                moving.c.run,
                moving.c.at,
                _reason_by_condition(sql, moving).label("reason"),
            )
            .select_from(moving.join(run, MOVING_RUN).join(contact, MOVING_CONTACT))
            .where(
                came(sql, [way.number for way in sql.ways.behind(behind)])
                if behind is not None
                else and_(in_pass(moving), moving.c.version == constant(sql.version)),
            )
            .suffix_with("OFFSET 0", dialect="postgresql")
            .subquery()
        )
        return into_leaving(sql.dialect, select(_STAGE, *found.c).where(found.c.reason.is_not(None)))

    return sql.once(("exit on condition", behind), build).run(connection, n=n, stage=stage).rowcount


def exit_on_goal(sql: ProgramSql, connection: Connection, n: int, stage: int) -> int:
    """Ends the runs of the journey whose goal was counted at the event of pass ``n``."""

    def build() -> Statement:
        return into_leaving(
            sql.dialect,
            select(_STAGE, wave.c.partition, wave.c.contact, conversion.c.run, wave.c.at, constant("goal"))
            .select_from(
                wave.join(
                    run,
                    and_(WAVE_RUN, run.c.journey == literal(sql.program.journey.name)),
                ).join(conversion, and_(of_run_and_event))
            )
            .where(in_pass(wave), wave.c.event.is_not(None)),
        )

    of_run_and_event = and_(
        conversion.c.partition == run.c.partition,
        conversion.c.contact == run.c.contact,
        conversion.c.run == run.c.id,
        conversion.c.event == wave.c.event,
    )
    return sql.once("exit on goal", build).run(connection, n=n, stage=stage).rowcount


_END = Statement(
    update(run)
    .values(
        status=constant(RunStatus.EXITED.value),
        reason=leaving.c.reason,
        ended_at=leaving.c.at,
        step=None,
        node=None,
        due_at=None,
        review_at=None,
        next_at=None,
        leaves_by=None,
    )
    .where(leaving.c.stage == _STAGE, held(leaving.c.partition), of_run(leaving), ACTIVE)
)
_waits = message.c.status.in_([constant(MessageStatus.READY.value), constant(MessageStatus.CLAIMED.value)])
_in_doubt = and_(_waits, message.c.reason == constant(POSSIBLE_DUPLICATE))
# One statement: between two, a message could pass from what the second looks for to what the first did.
_CANCEL = Statement(
    update(message)
    .values(
        # What may have arrived already is not called cancelled.
        status=case(
            (_in_doubt, constant(MessageStatus.UNKNOWN.value)),
            (_waits, constant(MessageStatus.CANCELLED.value)),
            else_=message.c.status,
        ),
        reason=case((_in_doubt, message.c.reason), (_waits, leaving.c.reason), else_=message.c.reason),
        available_at=None,
        lease_until=case((_waits, null()), else_=message.c.lease_until),
        # What is being handed over at this very instant leaves, and what is in doubt stays so: neither is tried again.
        expires_at=case((message.c.expires_at > leaving.c.at, leaving.c.at), else_=message.c.expires_at),
    )
    .where(
        leaving.c.stage == _STAGE,
        held(leaving.c.partition),
        message.c.partition == leaving.c.partition,
        message.c.contact == leaving.c.contact,
        message.c.run == leaving.c.run,
        message.c.status.in_(
            [
                constant(status.value)
                for status in (
                    MessageStatus.READY,
                    MessageStatus.CLAIMED,
                    MessageStatus.SENDING,
                    MessageStatus.UNKNOWN,
                )
            ]
        ),
    )
)


_WAKE = Statement(
    update(run)
    .values(due_at=leaving.c.at, next_at=earliest(leaving.c.at, run.c.review_at))
    .where(
        leaving.c.stage == _STAGE,
        held(leaving.c.partition),
        run.c.partition == leaving.c.partition,
        run.c.contact == leaving.c.contact,
        run.c.deferred == constant(FREQUENCY_CAP),
        run.c.due_at > leaving.c.at,
        ACTIVE,
    )
)


def end_leaving_runs(connection: Connection, stage: int, *, cancel_messages: bool) -> None:
    """End the runs of a stage of ``leaving``, and cancel those of their messages that have not been handed over. Of
    those contacts whom a frequency cap keeps waiting for others, it is asked again: there may be a place now.

    Virtual time hands a message over at the instant that lets it go, so there is nothing to cancel there.
    """
    _END.run(connection, stage=stage)
    if cancel_messages and _CANCEL.run(connection, stage=stage).rowcount:
        _WAKE.run(connection, stage=stage)
