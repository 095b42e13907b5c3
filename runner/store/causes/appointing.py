"""Appointments for everybody: the ticks make those of a new trigger contact by contact, and take those of one that is
gone away."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    Connection,
    Integer,
    Text,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    true,
    update,
)

from runner.store.causes.appointments import Kind, withdraw
from runner.store.held import held
from runner.store.insert import insert_new
from runner.store.passes.working import in_pass, wave
from runner.store.statement import Statement
from runner.store.tables import appointing, appointment, contact, shard
from runner.store.types import Instant

_limit = bindparam("limit", type_=Integer())
_kind = bindparam("kind", type_=Text())
_name = bindparam("name", type_=Text())
_latest = bindparam("latest", type_=Instant())


def appoint_everybody(connection: Connection, kind: Kind, name: str, since: datetime) -> None:
    """Have the ticks make the appointments of this name for all contacts, as of ``since``. Where that is under way it
    is begun anew, as of when it first was; where they are made nothing is done."""
    connection.execute(
        update(appointing)
        .values(reached=0)
        .where(appointing.c.kind == kind.value, appointing.c.name == name, appointing.c.reached.is_not(None))
    )
    connection.execute(
        insert_new(connection, appointing).from_select(
            ["partition", "kind", "name", "since", "reached"],
            select(
                shard.c.partition,
                literal_column(f"'{kind.value}'"),
                bindparam("its_name", name, Text()),
                bindparam("its_since", since, Instant()),
                literal_column("0"),
            ).where(true()),
        )
    )


def appointed(connection: Connection, kind: Kind) -> frozenset[str]:
    """The names of all appointments of this kind, made or still to be made."""
    return frozenset(
        connection.execute(
            select(appointing.c.name).where(appointing.c.kind == kind.value).distinct()
        ).scalars()
    )


def forget_appointments(connection: Connection, kind: Kind) -> None:
    """Forget all appointments of this kind, and that there are any. For scratch databases: it reads whole tables."""
    connection.execute(delete(appointment).where(appointment.c.kind == kind.value))
    connection.execute(delete(appointing).where(appointing.c.kind == kind.value))


def give_up(connection: Connection, kind: Kind, name: str) -> None:
    """Have the ticks remove the appointments of this name: they go through everybody again, and ask what it is."""
    connection.execute(
        update(appointing).values(reached=0).where(appointing.c.kind == kind.value, appointing.c.name == name)
    )


_OPEN = Statement(
    select(appointing.c.partition, appointing.c.kind, appointing.c.name, appointing.c.reached)
    .where(held(appointing.c.partition), appointing.c.reached.is_not(None))
    .order_by(appointing.c.kind, appointing.c.name, appointing.c.partition)
)
_NEXT_CONTACTS = Statement(
    insert(wave).from_select(
        ["n", "partition", "contact", "at"],
        select(
            bindparam("n", type_=Integer()),
            contact.c.partition,
            contact.c.id,
            case((appointing.c.since > _latest, _latest), else_=appointing.c.since),
        )
        .select_from(appointing.join(contact, contact.c.partition == appointing.c.partition))
        .where(
            appointing.c.partition == bindparam("partition", type_=Integer()),
            appointing.c.kind == _kind,
            appointing.c.name == _name,
            contact.c.partition == bindparam("partition", type_=Integer()),
            contact.c.id > bindparam("reached", type_=BigInteger()),
        )
        .order_by(contact.c.id)
        .limit(_limit),
    )
)
_REACHED = Statement(
    select(func.max(wave.c.contact)).where(
        in_pass(wave), wave.c.partition == bindparam("partition", type_=Integer())
    )
)
_its_row = (
    appointing.c.partition == bindparam("partition", type_=Integer()),
    appointing.c.kind == _kind,
    appointing.c.name == _name,
)
_GO_ON = Statement(
    update(appointing).values(reached=bindparam("reached_now", type_=BigInteger())).where(*_its_row)
)
_DONE = Statement(update(appointing).values(reached=None).where(*_its_row))
_REMOVE = (
    Statement(
        delete(appointment).where(
            exists(
                select(literal_column("1")).where(
                    in_pass(wave),
                    wave.c.partition == appointment.c.partition,
                    wave.c.contact == appointment.c.contact,
                )
            ),
            appointment.c.kind == _kind,
            appointment.c.name == _name,
        )
    ),
    Statement(
        delete(appointing).where(
            held(appointing.c.partition),
            appointing.c.kind == _kind,
            appointing.c.name == _name,
            appointing.c.reached.is_(None),
        )
    ),
)


def remove_of_pass(connection: Connection, n: int, kind: Kind, name: str) -> None:
    """Remove the appointments of this name, which nobody has any more, of the contacts of pass ``n``; and, where those
    were the last, all memory of it."""
    for statement in _REMOVE:
        statement.run(connection, n=n, kind=kind.value, name=name)
    withdraw(connection, n)


def gather_everybody(
    connection: Connection, size: int, latest: datetime | None = None
) -> dict[int, tuple[Kind, str]]:
    """Put the next contacts, up to about ``size``, for whom appointments are still to be made into passes of their own,
    numbered from -1 down; ``at`` is as of when, ``latest`` at the latest. Answers what is to be made for each of these
    passes; nothing where everything is made. The wave has no event there."""
    rows = _OPEN.run(connection).all()
    share = max(1, -(-size // max(1, len(rows))))
    passes: dict[tuple[str, str], int] = {}
    for partition, kind, name, reached in rows:
        n = passes.setdefault((kind, name), -len(passes) - 1)
        its = {"partition": partition, "kind": kind, "name": name}
        found = _NEXT_CONTACTS.run(
            connection, n=n, reached=reached, limit=share, latest=latest, **its
        ).rowcount
        if found < share:
            _DONE.run(connection, **its)
        else:
            last = _REACHED.run(connection, n=n, partition=partition).scalar_one()
            _GO_ON.run(connection, reached_now=last, **its)
    return {n: (Kind(kind), name) for (kind, name), n in passes.items()}
