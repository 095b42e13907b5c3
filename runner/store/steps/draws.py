"""Values of a pool that runs draw: each is given to one run, however many runners draw at a time.

What was drawn for a message that was blocked or cancelled is free again. That is looked at when a pool runs short: the
message is the first that its run let go, or was to let go, at a later step. Once it has left, the value is settled.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal,
    literal_column,
    null,
    select,
    update,
)

from runner.journey.graph import SKIPPED, Node
from runner.journey.model import Draw
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, at_node, pass_on
from runner.store.passes.program import MOVING_RUN, ProgramSql, of_run
from runner.store.passes.working import moving
from runner.store.statement import Statement
from runner.store.steps.acts import ACTS
from runner.store.steps.behind import of_step
from runner.store.tables import MessageKind, MessageStatus, message, pool_value, run, step_log
from runner.store.types import ByCodePoint, constant, json_merged, json_object, json_without

_MOST = bindparam("most", type_=Integer())
_POOL = bindparam("pool", type_=ByCodePoint())
_NEVER_LEFT = [constant(status.value) for status in (MessageStatus.BLOCKED, MessageStatus.CANCELLED)]
_MAY_LEAVE = [
    constant(status.value) for status in (MessageStatus.READY, MessageStatus.CLAIMED, MessageStatus.SENDING)
]


def draw(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Give a value to each run at ``node``, and let them go on: those for whom there is none by ``empty``.

    A run that comes here once more keeps the value that it has.
    """
    verb = node.verb
    assert isinstance(verb, Draw)
    count = sql.once(
        ("drawing", node.index), lambda: Statement(select(func.count()).select_from(_without(sql, node)))
    )
    most = count.run(connection, n=n).scalar() or 0
    if most:
        free = _FREE.run(connection, pool=verb.pool, most=most).scalar() or 0
        short = free < most
        if short:
            take_back(connection, verb.pool)
        sql.once(("draw", node.index), lambda: _taking(sql, node, verb)).run(
            connection, n=n, most=most, pool=verb.pool
        )
        sql.once(("keep drawn", node.index), lambda: _keeping(sql, node, verb)).run(connection, n=n)
        if short:
            sql.once(("nothing drawn", node.index), lambda: _forgetting(sql, node, verb)).run(connection, n=n)
    sql.once(("leave draw", node.index), lambda: _leaving(sql, node, verb)).run(connection, n=n)


def take_back(connection: Connection, pool: str) -> int:
    """Free the values of ``pool`` whose message never left, and settle those whose message has. Returns how many were
    freed. Served by ix_pool_value_unsettled."""
    freed = _FREED.run(connection, pool=pool).rowcount
    _SETTLED.run(connection, pool=pool)
    return freed


def has_value(connection: Connection, pool: str) -> bool:
    """Whether somebody who draws from ``pool`` now gets a value: one that is free, or would be taken back."""
    if _FREE.run(connection, pool=pool, most=1).scalar():
        return True
    return _ANY_BACK.run(connection, pool=pool).first() is not None


_FREE = Statement(
    select(func.count()).select_from(
        select(literal_column("1"))
        .where(pool_value.c.pool == _POOL, pool_value.c.partition.is_(None))
        .limit(_MOST)
        .subquery()
    )
)


def _own(sql: ProgramSql, node: Node, pool: str) -> ColumnElement[bool]:
    """The value that a run of ``moving`` has drawn at the step."""
    return and_(
        pool_value.c.partition == moving.c.partition,
        pool_value.c.contact == moving.c.contact,
        pool_value.c.run == moving.c.run,
        of_step(pool_value.c.step, sql, node),
        pool_value.c.pool == literal(pool, ByCodePoint()),
    )


def _has_one(sql: ProgramSql, node: Node, pool: str) -> ColumnElement[bool]:
    return exists(select(literal_column("1")).where(_own(sql, node, pool)).correlate(moving))


def _without(sql: ProgramSql, node: Node) -> Any:
    """The runs at the step that need a value, in the order in which they draw."""
    verb = node.verb
    assert isinstance(verb, Draw)
    order = func.row_number().over(order_by=(moving.c.at, moving.c.partition, moving.c.contact, moving.c.run))
    return (
        select(*RUN_KEY_AND_INSTANT, order.label("place"))
        .select_from(moving.join(run, MOVING_RUN))
        .where(at_node(sql, node), ACTS, ~_has_one(sql, node, verb.pool))
        .subquery("needy")
    )


def _taking(sql: ProgramSql, node: Node, verb: Draw) -> Statement:
    picked = (
        select(pool_value.c.value, pool_value.c.position)
        .where(pool_value.c.pool == _POOL, pool_value.c.partition.is_(None))
        .order_by(pool_value.c.position)
        .limit(_MOST)
        # What another runner is just drawing is passed over.
        .with_for_update(skip_locked=True)
        .cte("picked")
    )
    place = func.row_number().over(order_by=picked.c.position)
    free = select(picked.c.value, place.label("place")).subquery("free")
    needy = _without(sql, node)
    return Statement(
        update(pool_value)
        .values(
            partition=needy.c.partition,
            contact=needy.c.contact,
            run=needy.c.run,
            step=literal(node.step.id, ByCodePoint()),
            taken_at=needy.c.at,
        )
        .where(
            pool_value.c.pool == literal(verb.pool, ByCodePoint()),
            pool_value.c.value == free.c.value,
            free.c.place == needy.c.place,
        )
    )


def _keeping(sql: ProgramSql, node: Node, verb: Draw) -> Statement:
    drawn = json_object(literal(verb.save_as, Text()), pool_value.c.value)
    return Statement(
        update(run)
        .values(data=json_merged(run.c.data, drawn))
        .where(at_node(sql, node), of_run(moving), _own(sql, node, verb.pool))
    )


def _forgetting(sql: ProgramSql, node: Node, verb: Draw) -> Statement:
    """Whoever gets nothing has nothing: not what another step has drawn under the same name."""
    return Statement(
        update(run)
        .values(data=json_without(run.c.data, literal(verb.save_as, Text())))
        .where(at_node(sql, node), of_run(moving), ACTS, ~_has_one(sql, node, verb.pool))
    )


def _leaving(sql: ProgramSql, node: Node, verb: Draw) -> Statement:
    way = {outcome: constant(sql.ways.leaving(node, outcome)) for outcome in ("drawn", "empty", SKIPPED)}
    return pass_on(
        sql,
        select(
            *RUN_KEY_AND_INSTANT,
            case((~ACTS, way[SKIPPED]), (_has_one(sql, node, verb.pool), way["drawn"]), else_=way["empty"]),
        )
        .select_from(moving.join(run, MOVING_RUN))
        .where(at_node(sql, node)),
    )


def _status() -> ColumnElement[str]:
    """What became of the first message at a later step of the run that has drawn the value."""
    drawn, later = step_log.alias("drawn"), step_log.alias("later")
    return (
        select(message.c.status)
        .select_from(
            drawn.join(
                later,
                and_(
                    later.c.partition == drawn.c.partition,
                    later.c.contact == drawn.c.contact,
                    later.c.run == drawn.c.run,
                    later.c.node > drawn.c.node,
                ),
            ).join(
                message,
                and_(
                    message.c.partition == later.c.partition,
                    message.c.contact == later.c.contact,
                    message.c.run == later.c.run,
                    message.c.step == later.c.step,
                    message.c.kind == constant(MessageKind.MESSAGE.value),
                ),
            )
        )
        .where(
            drawn.c.partition == pool_value.c.partition,
            drawn.c.contact == pool_value.c.contact,
            drawn.c.run == pool_value.c.run,
            drawn.c.step == pool_value.c.step,
        )
        .order_by(later.c.node, message.c.visit.desc())
        .limit(literal_column("1"))
        .correlate(pool_value)
        .scalar_subquery()
    )


def _kept_in_flight() -> ColumnElement[bool]:
    """Whether the value was drawn by a run that was carried over into another version, and a message has left since, or
    may leave: which step carries the value cannot be told by the order of two programs."""
    return exists(
        select(literal_column("1"))
        .select_from(
            run.join(
                message,
                and_(
                    message.c.partition == run.c.partition,
                    message.c.contact == run.c.contact,
                    message.c.run == run.c.id,
                    message.c.kind == constant(MessageKind.MESSAGE.value),
                ),
            )
        )
        .where(
            run.c.partition == pool_value.c.partition,
            run.c.contact == pool_value.c.contact,
            run.c.id == pool_value.c.run,
            run.c.carried > literal_column("0"),
            message.c.let_go_at >= pool_value.c.taken_at,
            message.c.status.not_in(_NEVER_LEFT),
        )
        .correlate(pool_value)
    )


_UNSETTLED = and_(pool_value.c.pool == _POOL, pool_value.c.partition.is_not(None), ~pool_value.c.settled)
_COMES_BACK = and_(_UNSETTLED, _status().in_(_NEVER_LEFT), ~_kept_in_flight())
_FREED = Statement(
    update(pool_value)
    .values(partition=null(), contact=null(), run=null(), step=null(), taken_at=null())
    .where(_COMES_BACK)
)
_ANY_BACK = Statement(select(pool_value.c.value).where(_COMES_BACK).limit(literal_column("1")))
_SETTLED = Statement(
    update(pool_value).values(settled=True).where(_UNSETTLED, _status().not_in([*_NEVER_LEFT, *_MAY_LEAVE]))
)
