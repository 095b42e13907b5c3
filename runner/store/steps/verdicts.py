"""What follows from a verdict about a message: its row in the outbox, and where its run goes on or stands."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    String,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)

from runner.journey.graph import Node
from runner.journey.send_rules import HOLD, LATE
from runner.store.passes import ways
from runner.store.passes.advance import pass_on
from runner.store.passes.deciding import BLOCKED, DEFERRED, READY, verdict
from runner.store.passes.program import ProgramSql, of_run
from runner.store.passes.reviews import turn
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.working import in_pass
from runner.store.statement import Connection, Statement
from runner.store.steps.sends import insert_messages
from runner.store.tables import MessageStatus, contact, deferral, run
from runner.store.types import Instant, constant, earliest, json_merged, json_object

_RANK = bindparam("rank", type_=Integer())


def _of(sql: ProgramSql, node: Node, *outcomes: str) -> ColumnElement[bool]:
    return and_(
        in_pass(verdict),
        verdict.c.version == constant(sql.version),
        verdict.c.node == constant(node.index),
        verdict.c.outcome.in_([constant(outcome) for outcome in outcomes]),
    )


_verdict_run = verdict.join(run, and_(of_run(verdict), ACTIVE))


def write_messages(sql: ProgramSql, node: Node, connection: Connection, n: int, *, rank: int) -> None:
    """Write the messages of the send ``node`` that were decided about in pass ``n``, of one turn: the row exists before
    anything is sent, and the turns behind see it."""

    def build() -> Statement:
        ready = verdict.c.outcome == constant(READY)
        leaves = and_(ready, verdict.c.withheld.is_(None))
        return insert_messages(
            sql,
            node,
            verdict,
            {
                "visit": run.c.visit,
                "status": case(
                    (leaves, constant(MessageStatus.READY.value)),
                    (ready, constant(MessageStatus.WITHHELD.value)),
                    else_=constant(MessageStatus.BLOCKED.value),
                ),
                "reason": case((ready, verdict.c.withheld), else_=verdict.c.reason),
                "let_go_at": verdict.c.at,
                "expires_at": verdict.c.expires,
                "available_at": case((leaves, verdict.c.at)),
                "template": verdict.c.template,
            },
            _verdict_run,
            _of(sql, node, READY, BLOCKED),
            verdict.c.rank == _RANK,
        )

    sql.once(("messages together", node.index), build).run(connection, n=n, rank=rank)


def carry_out(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Let the runs go on about whose messages it was decided in pass ``n``, and the others stand at the send."""

    def build_passing() -> Statement:
        way = case(
            (verdict.c.outcome == constant(READY), constant(sql.ways.leaving(node, ways.READY))),
            else_=constant(sql.ways.leaving(node, ways.BLOCKED)),
        )
        return pass_on(
            sql,
            select(verdict.c.partition, verdict.c.contact, verdict.c.run, verdict.c.at, way.label("way"))
            .select_from(_verdict_run)
            .where(_of(sql, node, READY, BLOCKED)),
        )

    def build_memory() -> Statement:
        blocked = verdict.c.outcome == constant(BLOCKED)
        quoted: Any = (
            func.to_jsonb(cast(verdict.c.reason, Text()))
            if sql.dialect == "postgresql"
            else func.json_quote(verdict.c.reason)
        )
        why = json_object(literal_column("'blocked'"), quoted)
        return Statement(
            update(run)
            .values(deferred=None, data=case((blocked, json_merged(run.c.data, why)), else_=run.c.data))
            .where(
                _of(sql, node, READY, BLOCKED),
                of_run(verdict),
                ACTIVE,
                or_(run.c.deferred.is_not(None), blocked),
            )
        )

    sql.once(("decided", node.index), build_passing).run(connection, n=n)
    sql.once(("remember", node.index), build_memory).run(connection, n=n)
    sql.once(("deferred", node.index), lambda: _log(sql, node)).run(connection, n=n)
    sql.once(("stand", node.index), lambda: _stand(sql, node)).run(connection, n=n)


def _log(sql: ProgramSql, node: Node) -> Statement:
    """Write down why messages wait. What is looked at again and waits on for the same reason is one entry, and that
    somebody was late is none."""
    standing = run.c.node == constant(node.index)
    same = and_(
        standing,
        run.c.deferred.is_not(None),
        run.c.deferred == verdict.c.reason,
        or_(run.c.due_at == verdict.c.until, verdict.c.reason == constant(HOLD)),
    )
    place = (
        select(func.count())
        .where(
            deferral.c.partition == verdict.c.partition,
            deferral.c.contact == verdict.c.contact,
            deferral.c.run == verdict.c.run,
            deferral.c.node == verdict.c.node,
        )
        .correlate_except(deferral)
        .scalar_subquery()
    )
    return Statement(
        insert(deferral).from_select(
            ["partition", "contact", "run", "node", "nth", "step", "at", "reason", "until"],
            select(
                verdict.c.partition,
                verdict.c.contact,
                verdict.c.run,
                verdict.c.node,
                place + literal_column("1"),
                literal(node.step.id, String()),
                verdict.c.at,
                verdict.c.reason,
                verdict.c.until,
            )
            .select_from(_verdict_run)
            .where(
                _of(sql, node, DEFERRED),
                verdict.c.reason != constant(LATE),
                func.coalesce(~same, literal_column("1 = 1")),
            ),
        )
    )


def _stand(sql: ProgramSql, node: Node) -> Statement:
    when = turn(sql, verdict, node)
    found = (
        select(
            verdict.c.partition,
            verdict.c.contact,
            verdict.c.run,
            verdict.c.since,
            verdict.c.until,
            verdict.c.reason,
            (when if when is not None else cast(null(), Instant())).label("turn"),
        )
        .select_from(
            _verdict_run.join(
                contact,
                and_(contact.c.partition == verdict.c.partition, contact.c.id == verdict.c.contact),
            )
        )
        .where(_of(sql, node, DEFERRED))
        .subquery("standing")
    )
    return Statement(
        update(run)
        .values(
            step=literal(node.step.id),
            node=constant(node.index),
            arrived_at=found.c.since,
            due_at=found.c.until,
            review_at=found.c.turn,
            next_at=earliest(found.c.until, found.c.turn),
            deferred=found.c.reason,
            leaves_by=None,
        )
        .where(of_run(found), ACTIVE)
    )
