"""How many messages of one send may leave in a time, over all contacts and all runners.

Whoever comes to the send is given a place at once: the earliest instant at which there is room. So the first to come
leaves first, of those who come at one instant the oldest run; and nobody has to be asked again when the time has come.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, and_, bindparam, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from runner.journey.graph import Node
from runner.journey.model import Rate, Send
from runner.journey.send_rules import EXPIRED, RATE
from runner.store.passes.deciding import BLOCKED, DEFERRED, QUEUED, READY, verdict
from runner.store.passes.program import ProgramSql, of_run
from runner.store.passes.working import in_pass
from runner.store.statement import Connection, Statement
from runner.store.tables import contact, rate_use, run
from runner.store.types import EPOCH, constant, from_microseconds, microseconds_of, to_microseconds

_RANK = bindparam("rank", type_=Integer())
_EVERY = ("", "", EPOCH)
"""The row that whoever gives places holds until the end of its transaction. One for all sends: two runners that took
one each, in another order, would wait for each other."""


class Places:
    """The places of one send: instants in microseconds, at most ``rate.most`` of them in any (x - per, x]."""

    def __init__(self, rate: Rate, taken: Iterable[int]) -> None:
        self._most, self._per = rate.most, rate.per.elapsed
        self._taken = sorted(taken)
        self._asked: tuple[int, int] | None = None

    def next_from(self, wanted: int) -> int:
        """The first instant from ``wanted`` on at which there is room."""
        at = wanted
        if self._asked is not None and self._asked[0] <= wanted:
            # Places are never given back: what was full before is full now.
            at = max(at, self._asked[1])
        while (later := self._crowded(at)) is not None:
            at = later
        self._asked = (wanted, at)
        return at

    def take(self, at: int) -> None:
        self._taken.insert(bisect_right(self._taken, at), at)

    def _crowded(self, at: int) -> int | None:
        """None where there is room at ``at``; else a later instant before which there is none.

        One more would be too many where it makes ``most + 1`` that lie less than ``per`` apart.
        """
        taken, most = self._taken, self._most
        place = bisect_right(taken, at)
        if place == len(taken):  # behind all others
            first = taken[place - most] if place >= most else None
            return first + self._per if first is not None and at - first < self._per else None
        for begin in range(place, max(place - most, 0) - 1, -1):
            last = begin + most
            if last - 1 >= len(taken):
                continue
            from_, to = (taken[begin] if begin < place else at), (taken[last - 1] if last > place else at)
            if to - from_ < self._per:
                earliest = begin if begin < place else bisect_right(taken, at - self._per)
                return taken[earliest] + self._per
        return None


def give_places(sql: ProgramSql, node: Node, connection: Connection, n: int, rank: int) -> None:
    """Give the messages of one turn that are queued in pass ``n`` their places: they leave now, or wait for then.

    A held-out run needs no place, and one that has waited for its own has it. Whoever comes late to its place gives it
    back and is given another: what was to leave over three hours does not leave at once when a runner was away.
    """
    send = node.verb
    assert isinstance(send, Send)
    assert send.rate is not None
    queued = (
        sql.once(("queued", node.index), lambda: _queued(sql, node)).run(connection, n=n, rank=rank).all()
    )
    if not queued:
        return
    journey = sql.program.journey.name
    asking = [row for row in queued if row.place_us != row.at_us and row.withheld is None]
    places = None
    if asking:
        _lock(connection)
        late = Counter(row.place_us for row in asking if row.place_us is not None)
        _use(connection, journey, node.step.id, {place: -count for place, count in late.items()})
        since = min(row.at_us for row in asking) - send.rate.per.elapsed
        names = sql.program.journey.in_flight.names.get(node.step.id, (node.step.id,))
        places = Places(send.rate, _taken(connection, journey, names, from_microseconds(since)))
    used: dict[int, int] = {}
    rows: list[dict[str, Any]] = []
    for row in queued:
        place = row.at_us
        if places is not None and row.withheld is None and row.place_us != row.at_us:
            place = places.next_from(row.at_us)
            if place < row.expires_us:
                places.take(place)
                used[place] = used.get(place, 0) + 1
        outcome, reason = (READY, None) if place <= row.at_us else (DEFERRED, RATE)
        if outcome is DEFERRED and row.at_us >= row.expires_us:
            outcome, reason = BLOCKED, EXPIRED
        rows.append(
            {
                "n": n,
                "version": sql.version,
                "node": node.index,
                "rank": rank,
                "partition": row.partition,
                "contact": row.contact,
                "run": row.run,
                "at": from_microseconds(row.at_us),
                "since": from_microseconds(row.since_us),
                "expires": from_microseconds(row.expires_us),
                "outcome": outcome,
                "reason": reason,
                "until": from_microseconds(min(place, row.expires_us)) if outcome is DEFERRED else None,
                "template": row.template,
                "withheld": row.withheld,
            }
        )
    connection.execute(verdict.insert(), rows)
    _use(connection, journey, node.step.id, used)


def give_back_places(sql: ProgramSql, node: Node, connection: Connection, n: int) -> None:
    """Give back the places of those who wait in pass ``n`` though their place has come: at night, say. They are given
    another when that is over."""
    lost = sql.once(("lost", node.index), lambda: _lost(sql, node)).run(connection, n=n).scalars().all()
    give_back(connection, sql.program.journey.name, node.step.id, Counter(lost))


def give_back(connection: Connection, journey: str, step: str, places: Mapping[int, int]) -> None:
    """Give back as many places of a send at these instants, in microseconds."""
    if places:
        _lock(connection)
        _use(connection, journey, step, {place: -count for place, count in places.items()})


def _lost(sql: ProgramSql, node: Node) -> Statement:
    return Statement(
        select(microseconds_of(run.c.due_at))
        .select_from(verdict.join(run, of_run(verdict)))
        .where(
            in_pass(verdict),
            verdict.c.version == constant(sql.version),
            verdict.c.node == constant(node.index),
            verdict.c.outcome == constant(DEFERRED),
            verdict.c.reason != constant(RATE),
            _has_place(node),
        )
    )


def _has_place(node: Node) -> ColumnElement[bool]:
    """Whether the place that the run of a verdict has waited for has come."""
    return and_(
        run.c.node == constant(node.index),
        run.c.deferred == constant(RATE),
        run.c.due_at <= verdict.c.at,
        run.c.due_at < verdict.c.expires,
    )


def _queued(sql: ProgramSql, node: Node) -> Statement:
    """Those who are to leave, each with the place that it has waited for, if any, in the order in which places are
    given: they came at one instant, or do so in this order."""
    return Statement(
        select(
            verdict.c.partition,
            verdict.c.contact,
            verdict.c.run,
            verdict.c.template,
            verdict.c.withheld,
            microseconds_of(verdict.c.at).label("at_us"),
            microseconds_of(verdict.c.since).label("since_us"),
            microseconds_of(verdict.c.expires).label("expires_us"),
            case((_has_place(node), microseconds_of(run.c.due_at))).label("place_us"),
        )
        .select_from(
            verdict.join(run, of_run(verdict)).join(
                contact,
                and_(contact.c.partition == verdict.c.partition, contact.c.id == verdict.c.contact),
            )
        )
        .where(
            in_pass(verdict),
            verdict.c.version == constant(sql.version),
            verdict.c.node == constant(node.index),
            verdict.c.rank == _RANK,
            verdict.c.outcome == constant(QUEUED),
        )
        .order_by(verdict.c.at, run.c.entered_at, contact.c.key, verdict.c.run)
    )


def _lock(connection: Connection) -> None:
    """Hold the places of all sends until the transaction ends; others that give places wait."""
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    journey, step, at = _EVERY
    connection.execute(
        insert(rate_use).values(journey=journey, step=step, at=at, used=0).on_conflict_do_nothing()
    )
    connection.execute(
        select(rate_use.c.used)
        .where(rate_use.c.journey == journey, rate_use.c.step == step, rate_use.c.at == at)
        .with_for_update()
    )


def _taken(connection: Connection, journey: str, names: Iterable[str], since: datetime) -> list[int]:
    """The places that a send has given by any of its ``names``: where people finish an older version, each version
    gives them by its own."""
    used = func.sum(rate_use.c.used, type_=Integer()).label("used")
    rows = connection.execute(
        select(rate_use.c.at, used)
        .where(rate_use.c.journey == journey, rate_use.c.step.in_(sorted(names)), rate_use.c.at > since)
        .group_by(rate_use.c.at)
    )
    return [to_microseconds(row.at) for row in rows for _ in range(row.used)]


def _use(connection: Connection, journey: str, step: str, used: dict[int, int]) -> None:
    insert = (postgresql if connection.dialect.name == "postgresql" else sqlite).insert
    """Take as many places more at these instants, or give them back."""
    rows = [
        {"journey": journey, "step": step, "at": from_microseconds(at), "used": count}
        for at, count in sorted(used.items())
    ]
    if rows:
        statement = insert(rate_use)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["journey", "step", "at"],
                set_={"used": rate_use.c.used + statement.excluded.used},
            ),
            rows,
        )
