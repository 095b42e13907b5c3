"""How far a broadcast has come: partition by partition, a portion of its contacts after the other.

The copies are made in a tick, under the partition's lock, before its events are handled, for those who were there when
it began. Each contact gets one copy of a broadcast, however often it is looked at.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.store.causes.broadcasts import Open
from runner.store.causes.hearers import Copies
from runner.store.held import held
from runner.store.statement import Statement
from runner.store.tables import broadcast_heard, broadcast_hearing, contact, shard

_its_id = bindparam("its_id", type_=BigInteger())
_heard = exists(
    select(literal_column("1")).where(
        broadcast_heard.c.partition == shard.c.partition, broadcast_heard.c.broadcast == _its_id
    )
)
_TO_HEAR = Statement(select(func.count()).select_from(shard).where(held(shard.c.partition), ~_heard))
_its_rows = and_(held(broadcast_hearing.c.partition), broadcast_hearing.c.broadcast == _its_id)


def _begin(dialect: str) -> Statement:
    last = select(func.max(contact.c.id)).where(contact.c.partition == shard.c.partition).scalar_subquery()
    nobody_yet: ColumnElement[int] = literal_column("0")
    into = (postgresql if dialect == "postgresql" else sqlite).insert(broadcast_hearing)
    begun = into.from_select(
        ["partition", "broadcast", "last", "reached", "portion"],
        select(shard.c.partition, _its_id, func.coalesce(last, nobody_yet), nobody_yet, nobody_yet).where(
            held(shard.c.partition), ~_heard
        ),
    )
    return Statement(begun.on_conflict_do_nothing())


_BEGIN = {dialect: _begin(dialect) for dialect in ("sqlite", "postgresql")}
_end_of_portion = (
    select(contact.c.id)
    .where(
        contact.c.partition == broadcast_hearing.c.partition,
        contact.c.id > broadcast_hearing.c.reached,
        contact.c.id <= broadcast_hearing.c.last,
    )
    .order_by(contact.c.id)
    .limit(literal_column("1"))
    .offset(bindparam("behind", type_=Integer()))
    .scalar_subquery()
)
_NEXT_PORTION = Statement(
    update(broadcast_hearing)
    .values(portion=func.coalesce(_end_of_portion, broadcast_hearing.c.last))
    .where(_its_rows)
)
_HEARD = Statement(
    insert(broadcast_heard).from_select(
        ["partition", "broadcast"],
        select(broadcast_hearing.c.partition, broadcast_hearing.c.broadcast).where(
            _its_rows, broadcast_hearing.c.portion >= broadcast_hearing.c.last
        ),
    )
)
# Also what older software, which tells a partition at once, has told meanwhile.
_OVER = Statement(
    delete(broadcast_hearing).where(
        _its_rows,
        exists(
            select(literal_column("1")).where(
                broadcast_heard.c.partition == broadcast_hearing.c.partition,
                broadcast_heard.c.broadcast == broadcast_hearing.c.broadcast,
            )
        ),
    )
)
_GO_ON = Statement(update(broadcast_hearing).values(reached=broadcast_hearing.c.portion).where(_its_rows))


def hear(connection: Connection, copies: Copies, of: Open, size: int, *, asks: bool = True) -> bool | None:
    """Give a copy of the broadcast to those who hear it (``asks`` as in ``Copies.tell``), of the next contacts, up to
    about ``size``, of the partitions that are held, and write down how far it has come there. Answers whether it has
    come to everybody by now who was there when it began; None where it had before."""
    its = {"its_id": of.number}
    partitions = int(_TO_HEAR.run(connection, **its).scalar_one())
    if not partitions:
        return None
    _OVER.run(connection, **its)
    _BEGIN[connection.dialect.name].run(connection, **its)
    _NEXT_PORTION.run(connection, **its, behind=-(-size // partitions) - 1)
    copies.tell(connection, of, asks=asks)
    _HEARD.run(connection, **its)
    through = _OVER.run(connection, **its).rowcount
    _GO_ON.run(connection, **its)
    return through >= partitions
