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
    or_,
    select,
)

from runner.journey.catalog import EVERY_CHANNEL
from runner.journey.graph import Node
from runner.journey.model import Send
from runner.store.passes.advance import RUN_KEY_AND_INSTANT, arrivals, at_node, pass_on
from runner.store.passes.program import ProgramSql, came
from runner.store.passes.ways import BLOCK_REASONS, BLOCKED
from runner.store.passes.working import moving
from runner.store.statement import Statement
from runner.store.tables import ConsentState, MessageStatus, consent, contact, message
from runner.store.types import constant, shifted

ADDRESS_OF = {"email": "email", "sms": "phone", "phone": "phone"}
"""Which field of the contact a channel needs. Other channels (a webhook, say) need none."""

READY = "ready"


def decide_sends(sql: ProgramSql, node: Node, connection: Connection, n: int, *, transactional: bool) -> None:
    """Write the message of each run at ``node``, and let the run go on.

    Blocked are, in this order: ``no_address`` and ``no_consent``; transactional topics need no consent. A consent for
    the channel itself goes before one for every channel.
    """
    send = node.verb
    assert isinstance(send, Send)

    def build_passing() -> Statement:
        own, every = consent.alias("own"), consent.alias("every")

        def on(alias: FromClause, channel: str) -> ColumnElement[bool]:
            return and_(
                alias.c.partition == moving.c.partition,
                alias.c.contact == moving.c.contact,
                alias.c.topic == literal(send.topic, String()),
                alias.c.channel == literal(channel, String()),
            )

        rows = arrivals(sql)
        blocks: dict[str, ColumnElement[bool]] = {}
        if address := ADDRESS_OF.get(send.channel):
            blocks["no_address"] = or_(contact.c[address].is_(None), contact.c[address] == "")
        if not transactional:
            rows = rows.outerjoin(own, on(own, send.channel)).outerjoin(every, on(every, EVERY_CHANNEL))
            blocks["no_consent"] = func.coalesce(
                own.c.state, every.c.state, literal_column("''")
            ) != constant(ConsentState.GIVEN.value)
        blocking = [
            (blocks[reason], constant(sql.ways.leaving(node, BLOCKED, reason)))
            for reason in BLOCK_REASONS
            if reason in blocks
        ]
        ready = constant(sql.ways.leaving(node, READY))
        way = case(*blocking, else_=ready) if blocking else ready
        return pass_on(sql, select(*RUN_KEY_AND_INSTANT, way).select_from(rows).where(at_node(sql, node)))

    def build_messages() -> Statement:
        ways = [way for way in sql.ways if way.node is node]
        let_go = moving.c.way == constant(sql.ways.leaving(node, READY))
        reasons = {constant(way.number): constant(way.detail) for way in ways if way.detail is not None}
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
                    literal_column("1"),
                    literal(sql.program.journey.name, String()),
                    constant(sql.version),
                    literal(send.channel, String()),
                    literal(send.topic, String()),
                    case(
                        (let_go, constant(MessageStatus.READY.value)),
                        else_=constant(MessageStatus.BLOCKED.value),
                    ),
                    case(reasons, value=moving.c.way),
                    moving.c.at,
                    shifted(moving.c.at, constant(send.valid_for.elapsed)),
                    literal_column("0"),
                    case((let_go, moving.c.at)),
                ).where(came(sql, sql.ways.behind(node.index))),
            )
        )

    sql.once(("send", node.index), build_passing).run(connection, n=n)
    sql.once(("messages", node.index), build_messages).run(connection, n=n)
