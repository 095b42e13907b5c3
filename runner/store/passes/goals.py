"""Goals: what a journey is there for, counted when it happens soon enough after one of its messages."""

from __future__ import annotations

from sqlalchemy import BigInteger, Connection, and_, cast, func, insert, literal, null, select

from runner.store.passes.program import ProgramSql, of_run
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import millionths, predicate
from runner.store.statement import Statement
from runner.store.tables import LET_GO, MessageKind, contact, conversion, message, run
from runner.store.types import constant, shifted


def count_goals(sql: ProgramSql, connection: Connection, n: int) -> int:
    """Record the conversions that the events of pass ``n`` are, for all runs of the journey, ended ones included. Of
    runs with the same ``per`` value the newest counts: a journey that was restarted is reached once.

    The goal is that of the journey's present version: it is how the journey is measured. Served by
    ix_message_let_go: only the messages within the window are looked at. Returns how many there are.
    """

    def build() -> Statement:
        goal = sql.program.journey.goal
        assert goal is not None
        latest = func.row_number().over(
            partition_by=(message.c.partition, message.c.contact, message.c.run),
            order_by=(message.c.let_go_at.desc(), message.c.step.desc()),
        )
        last = (
            select(
                wave.c.partition,
                wave.c.contact,
                wave.c.at,
                wave.c.event,
                wave.c.properties,
                message.c.run,
                message.c.step,
                latest.label("latest"),
            )
            .select_from(
                wave.join(
                    message,
                    and_(
                        message.c.partition == wave.c.partition,
                        message.c.contact == wave.c.contact,
                        message.c.let_go_at >= shifted(wave.c.at, constant(-goal.within.elapsed)),
                        message.c.let_go_at <= wave.c.at,
                    ),
                )
            )
            .where(
                in_pass(wave),
                wave.c.name == literal(goal.event),
                message.c.journey == literal(sql.program.journey.name),
                message.c.status.in_([constant(status.value) for status in LET_GO]),
                message.c.kind == constant(MessageKind.MESSAGE.value),
            )
            .subquery()
        )
        row = sql.row(last, with_event=True)
        value = millionths(goal.value, row, sql.dialect) if goal.value else cast(null(), BigInteger())
        newest = func.row_number().over(
            partition_by=(last.c.partition, last.c.contact, last.c.event, run.c.per),
            order_by=last.c.run.desc(),
        )
        reached = (
            select(
                last.c.partition,
                last.c.contact,
                last.c.run,
                last.c.event,
                last.c.step,
                last.c.at,
                value.label("value"),
                newest.label("newest"),
            )
            .select_from(
                last.join(
                    contact, and_(contact.c.partition == last.c.partition, contact.c.id == last.c.contact)
                ).join(run, of_run(last))
            )
            .where(
                last.c.latest == 1,
                *([predicate(goal.where, row, sql.dialect)] if goal.where else []),
            )
            .subquery("reached")
        )
        return Statement(
            insert(conversion).from_select(
                ["partition", "contact", "run", "event", "journey", "step", "at", "value"],
                select(
                    reached.c.partition,
                    reached.c.contact,
                    reached.c.run,
                    reached.c.event,
                    literal(sql.program.journey.name),
                    reached.c.step,
                    reached.c.at,
                    reached.c.value,
                ).where(reached.c.newest == 1),
            )
        )

    return sql.once("count goals", build).run(connection, n=n).rowcount
