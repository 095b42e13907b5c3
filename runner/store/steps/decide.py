"""Messages that are decided about together: which of them leave, which wait, and which never will.

The order in which policy is asked: first what no waiting mends (address, suppression, consent, ``only_if``, an empty
cell, ``valid_for``), so that nobody is kept for a message that they may not get; then what makes it wait (hold, quiet
hours, window); and last the places that others compete for (frequency caps, rate), so that none is given to a message
that does not leave now. Whether a run is held out is no question of policy: its message goes the same way, to nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
)
from sqlalchemy import insert as sqlalchemy_insert

from runner.journey.graph import Node
from runner.journey.model import Send
from runner.journey.policies import Cap, Over
from runner.journey.send_rules import EXPIRED, FREQUENCY_CAP
from runner.store.passes.deciding import BLOCKED, DEFERRED, QUEUED, READY, deciding, verdict
from runner.store.passes.program import ProgramSql
from runner.store.passes.working import in_pass
from runner.store.statement import Connection, Statement
from runner.store.steps.rate import give_back_places, give_places
from runner.store.steps.verdicts import carry_out, write_messages
from runner.store.tables import LET_GO, MessageKind, MessageStatus, message
from runner.store.types import Instant, constant, shifted

_ROUND = bindparam("round", type_=Integer())
_RANK = bindparam("rank", type_=Integer())
_COUNTED = tuple(
    status for status in LET_GO if status not in (MessageStatus.WITHHELD, MessageStatus.CANCELLED)
)
"""The statuses of messages that use up a place: all that may have come to somebody, or still may. One that is cancelled
was never handed over."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The runs of one version that are at a send."""

    sql: ProgramSql
    node: Node

    @property
    def send(self) -> Send:
        assert isinstance(self.node.verb, Send)
        return self.node.verb

    @property
    def compete(self) -> bool:
        """Whether the last place may be another's."""
        return bool(self.sql.rules.caps(self.send) or self.send.rate)


def decide(connection: Connection, found: Sequence[Candidates], n: int, round: int) -> None:
    """Decide about the messages of ``found``, which pass ``n`` has collected. Those about which it is decided go on in
    the pass ``round``; the others stand at their sends.

    Of the messages of one contact that compete, the first takes its place before the next is looked at.
    """
    for one in found:
        one.sql.once(("settle", one.node.index), partial(_settle, one)).run(connection, n=n, round=round)
    competing = [one for one in found if one.compete]
    for one in found:
        if not one.compete:
            write_messages(one.sql, one.node, connection, round, rank=0)
    most = (_MOST.run(connection, n=n).scalar() or 0) if competing else 0
    for one in competing:
        write_messages(one.sql, one.node, connection, round, rank=0)
    for rank in range(1, most + 1):
        for one in competing:
            settled = one.sql.once(("compete", one.node.index), partial(_compete, one)).run(
                connection, n=n, round=round, rank=rank
            )
            if settled.rowcount:
                if one.send.rate:
                    give_places(one.sql, one.node, connection, round, rank)
                write_messages(one.sql, one.node, connection, round, rank=rank)
    for one in found:
        if one.send.rate:
            give_back_places(one.sql, one.node, connection, round)
        carry_out(one.sql, one.node, connection, round)


def _of(one: Candidates) -> ColumnElement[bool]:
    return and_(
        in_pass(deciding),
        deciding.c.version == constant(one.sql.version),
        deciding.c.node == constant(one.node.index),
    )


_free = and_(deciding.c.blocked.is_(None), deciding.c.until.is_(None))
_COLUMNS = [each.name for each in verdict.c]


def _into_verdict(source: Any, rank: Any, outcome: Any, reason: Any, until: Any) -> Select[Any]:
    return select(
        _ROUND,
        source.c.version,
        source.c.node,
        rank,
        source.c.partition,
        source.c.contact,
        source.c.run,
        source.c.at,
        source.c.since,
        source.c.expires,
        outcome,
        reason,
        until,
        source.c.template,
        source.c.withheld,
    )


def _settle(one: Candidates) -> Statement:
    """What hangs on nobody else: all that is blocked or has to wait anyway, and all that takes no place."""
    until = case((deciding.c.until < deciding.c.expires, deciding.c.until), else_=deciding.c.expires)
    query = _into_verdict(
        deciding,
        literal_column("0"),
        case(
            (deciding.c.blocked.is_not(None), constant(BLOCKED)),
            (deciding.c.until.is_not(None), constant(DEFERRED)),
            else_=constant(READY),
        ),
        func.coalesce(deciding.c.blocked, deciding.c.reason),
        case((deciding.c.until.is_not(None), until)),
    ).where(_of(one), *([~_free] if one.compete else []))
    return Statement(sqlalchemy_insert(verdict).from_select(_COLUMNS, query))


def _ranked() -> Any:
    """The messages that compete, each with its turn among those of its contact."""
    turn = func.row_number().over(
        partition_by=(deciding.c.partition, deciding.c.contact),
        order_by=(
            deciding.c.priority,
            deciding.c.journey,
            deciding.c.node,
            deciding.c.run,
        ),
    )
    return (
        select(*deciding.c, turn.label("rank"))
        .where(in_pass(deciding), deciding.c.counted == literal_column("1"), _free)
        .subquery("ranked")
    )


_MOST = Statement(select(func.max(_ranked().c.rank)))


def _compete(one: Candidates) -> Statement:
    """Those whose turn it is: is there a place for them under every cap?"""
    ranked = _ranked()
    caps = one.sql.rules.caps(one.send)
    asked = select(
        *ranked.c,
        *(_free_again(one, cap, ranked).label(f"cap_{place}") for place, cap in enumerate(caps)),
    ).where(
        ranked.c.rank == _RANK,
        ranked.c.version == constant(one.sql.version),
        ranked.c.node == constant(one.node.index),
    )
    found = asked.suffix_with("OFFSET 0", dialect="postgresql").subquery("asked")
    dropped = or_(
        literal_column("1 = 0"),
        *(found.c[f"cap_{place}"].is_not(None) for place, cap in enumerate(caps) if cap.over is Over.DROP),
    )
    until: ColumnElement[Any] = cast(null(), Instant())
    for place, cap in enumerate(caps):
        if cap.over is Over.DEFER:
            until = _later(until, found.c[f"cap_{place}"])
    expired = and_(until.is_not(None), found.c.at >= found.c.expires)
    query = _into_verdict(
        found,
        cast(found.c.rank, Integer()),
        case(
            (dropped, constant(BLOCKED)),
            (expired, constant(BLOCKED)),
            (until.is_not(None), constant(DEFERRED)),
            else_=constant(QUEUED if one.send.rate else READY),
        ),
        case(
            (dropped, constant(FREQUENCY_CAP)),
            (expired, constant(EXPIRED)),
            (until.is_not(None), constant(FREQUENCY_CAP)),
            else_=cast(null(), Text()),
        ),
        case((until < found.c.expires, until), (until.is_not(None), found.c.expires)),
    )
    return Statement(sqlalchemy_insert(verdict).from_select(_COLUMNS, query))


def _free_again(one: Candidates, cap: Cap, source: Any) -> ColumnElement[Any]:
    """When there is room under the cap again; NULL where there is now. Served by ix_message_let_go.

    The window of a cap is (instant - per, instant], so the place of a message is free exactly ``per`` after it.
    """
    transactional = [constant(name) for name in one.sql.rules.transactional_topics]
    last = (
        select(shifted(message.c.let_go_at, constant(cap.per.elapsed)))
        .where(
            message.c.partition == source.c.partition,
            message.c.contact == source.c.contact,
            message.c.let_go_at > shifted(source.c.at, constant(-cap.per.elapsed)),
            message.c.let_go_at <= source.c.at,
            message.c.status.in_([constant(status.value) for status in _COUNTED]),
            message.c.kind == constant(MessageKind.MESSAGE.value),
            *([message.c.topic.not_in(transactional)] if transactional else []),
            *([message.c.channel == constant(cap.channel)] if cap.channel else []),
            *([message.c.topic == constant(cap.topic)] if cap.topic else []),
        )
        .order_by(message.c.let_go_at.desc())
        .limit(constant(1))
        .offset(constant(cap.most - 1))
        .correlate_except(message)
    )
    return last.scalar_subquery()


def _later(one: ColumnElement[Any], other: ColumnElement[Any]) -> ColumnElement[Any]:
    """The later of two instants, of which either may be NULL."""
    return case((one.is_(None), other), (other.is_(None), one), (one > other, one), else_=other)
