"""Messages that runs decide to send: let go, or blocked with a reason. The row exists before anything is sent."""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    String,
    and_,
    case,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
)

from runner.journey.catalog import EVERY_CHANNEL
from runner.journey.graph import Node
from runner.journey.model import Send
from runner.store.passes.advance import arrivals, at_node, pass_on
from runner.store.passes.program import ProgramSql
from runner.store.passes.working import moving
from runner.store.statement import Statement
from runner.store.tables import ConsentState, MessageStatus, consent, contact, message
from runner.store.types import constant, shifted

ADDRESS_OF = {"email": "email", "sms": "phone", "phone": "phone"}
"""Which field of the contact a channel needs. Other channels (a webhook, say) need none."""

_VISIT: ColumnElement[int] = literal_column("1")


def decide_sends(sql: ProgramSql, node: Node, connection: Connection, n: int, *, transactional: bool) -> None:
    """Write the message of each run at ``node``, and let the run go on.

    Blocked are, in this order: ``no_address`` and ``no_consent``; transactional topics need no consent. A consent for
    the channel itself goes before one for every channel.
    """
    send = node.verb
    assert isinstance(send, Send)

    def build_messages() -> Statement:
        own, every = consent.alias("own"), consent.alias("every")

        def on(alias: FromClause, channel: str) -> ColumnElement[bool]:
            return and_(
                alias.c.partition == moving.c.partition,
                alias.c.contact == moving.c.contact,
                alias.c.topic == literal(send.topic, String()),
                alias.c.channel == literal(channel, String()),
            )

        rows = arrivals(sql)
        blocks = []
        if address := ADDRESS_OF.get(send.channel):
            blocks.append(
                (or_(contact.c[address].is_(None), contact.c[address] == ""), constant("no_address"))
            )
        if not transactional:
            rows = rows.outerjoin(own, on(own, send.channel)).outerjoin(every, on(every, EVERY_CHANNEL))
            given = func.coalesce(own.c.state, every.c.state, literal_column("''")) == constant(
                ConsentState.GIVEN.value
            )
            blocks.append((~given, constant("no_consent")))
        reason = case(*blocks, else_=null()) if blocks else null()
        blocked = reason.is_not(None)
        return Statement(
            insert(message).from_select(
                [
                    "partition",
                    "contact",
                    "run",
                    "step",
                    "visit",
                    "journey",
                    "version",
                    "channel",
                    "topic",
                    "status",
                    "reason",
                    "let_go_at",
                    "expires_at",
                    "attempts",
                    "available_at",
                ],
                select(
                    moving.c.partition,
                    moving.c.contact,
                    moving.c.run,
                    literal(node.step.id, String()),
                    _VISIT,
                    literal(sql.program.journey.name, String()),
                    constant(sql.version),
                    literal(send.channel, String()),
                    literal(send.topic, String()),
                    case(
                        (blocked, constant(MessageStatus.BLOCKED.value)),
                        else_=constant(MessageStatus.READY.value),
                    ),
                    reason,
                    moving.c.at,
                    shifted(moving.c.at, constant(send.valid_for.elapsed)),
                    literal_column("0"),
                    case((blocked, null()), else_=moving.c.at),
                )
                .select_from(rows)
                .where(at_node(sql, node)),
            )
        )

    def build_passing() -> Statement:
        decided = (
            select(
                moving.c.partition,
                moving.c.contact,
                moving.c.run,
                moving.c.at,
                case(
                    (message.c.status == constant(MessageStatus.BLOCKED.value), constant("blocked")),
                    else_=constant("ready"),
                ).label("outcome"),
            )
            .select_from(
                moving.join(
                    message,
                    and_(
                        message.c.partition == moving.c.partition,
                        message.c.contact == moving.c.contact,
                        message.c.run == moving.c.run,
                        message.c.step == literal(node.step.id, String()),
                        message.c.visit == _VISIT,
                    ),
                )
            )
            .where(at_node(sql, node))
            .subquery()
        )
        return pass_on(sql, node, decided, outcome=decided.c.outcome)

    sql.once(("messages", node.index), build_messages).run(connection, n=n)
    sql.once(("after messages", node.index), build_passing).run(connection, n=n)
