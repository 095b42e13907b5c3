"""The author's own conditions about messages that are about to leave, read once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import FromClause, Integer, and_, bindparam, case, cast, literal_column, null, select

from runner.journey.graph import Node
from runner.journey.model import Send
from runner.store.passes.program import ProgramSql
from runner.store.predicates import Row, predicate
from runner.store.sending import message_statements as statements
from runner.store.sending.messages import Held, packed_keys
from runner.store.statement import Connection, Statement
from runner.store.tables import contact, message, run
from runner.store.types import Instant

_NOW = bindparam("now", type_=Instant())


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Whether ``only_if`` holds, and which case of the topic's opt-in; None is the last, that of all others."""

    only_if: bool = True
    opt_in: int | None = None


def asked_again(
    connection: Connection, sql: ProgramSql, node: Node, held: Sequence[Held], now: datetime
) -> dict[Held, Asked]:
    """What holds at ``now`` of the messages ``held`` of one send. Nothing where the author asks nothing."""
    send = node.verb
    topic = sql.rules.topics.get(send.topic) if isinstance(send, Send) else None
    if not isinstance(send, Send) or (send.only_if is None and not (topic and topic.cases)):
        return {}
    statement = sql.once(("asked again", node.index), lambda: _asked_again(sql, send))
    found = statement.run(connection, batch=packed_keys(held), now=now)
    by_key = {tuple(one.key): one for one in held}
    return {by_key[tuple(row[:5])]: Asked(only_if=bool(row.only_if), opt_in=row.opt_in) for row in found}


def row_of(sql: ProgramSql) -> Row:
    """Where expressions find what they read of a message that is about to leave, its run and its contact."""
    return Row(
        partition=message.c.partition,
        contact=message.c.contact,
        contact_table=contact,
        zone=sql.zone,
        instant=_NOW,
        trigger=run.c.trigger,
        data=run.c.data,
        run=run.c.id,
        entered_at=run.c.entered_at,
    )


def leaving(batch: FromClause) -> FromClause:
    """The messages of ``batch``, with their contacts and runs."""
    same = and_(*(message.c[each.name] == batch.c[each.name] for each in statements.KEY))
    of_contact = and_(contact.c.partition == message.c.partition, contact.c.id == message.c.contact)
    of_run = and_(
        run.c.partition == message.c.partition,
        run.c.contact == message.c.contact,
        run.c.id == message.c.run,
    )
    return batch.join(message, same).join(contact, of_contact).join(run, of_run)


def _asked_again(sql: ProgramSql, send: Send) -> Statement:
    row = row_of(sql)
    topic = sql.rules.topics.get(send.topic)
    cases: list[tuple[Any, Any]] = [
        (predicate(each.when, row, sql.dialect), literal_column(str(place)))
        for place, each in enumerate(topic.cases if topic else ())
        if each.when is not None
    ]
    holds = predicate(send.only_if, row, sql.dialect) if send.only_if else literal_column("1 = 1")
    return Statement(
        select(
            *statements.KEY,
            case((holds, literal_column("1")), else_=literal_column("0")).label("only_if"),
            (case(*cases) if cases else cast(null(), Integer())).label("opt_in"),
        ).select_from(leaving(statements.batch_of(sql.dialect)))
    )
