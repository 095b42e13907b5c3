"""What policy says about a message at the instant of its send, and the rows of the messages that follow from it."""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
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
from runner.store.passes.program import ProgramSql, came
from runner.store.passes.ways import READY
from runner.store.passes.working import moving
from runner.store.statement import Connection, Statement
from runner.store.tables import ConsentState, MessageStatus, consent, contact, message
from runner.store.types import constant, shifted

ADDRESS_OF = {"email": "email", "sms": "phone", "phone": "phone"}
"""Which field of the contact a channel needs. Other channels (a webhook, say) need none."""

_own, _every = consent.alias("own"), consent.alias("every")


def with_consent(sql: ProgramSql, send: Send, rows: FromClause) -> FromClause:
    """``rows`` of moving, joined with the consent that the send asks for. A consent for the channel itself goes before
    one for every channel; a transactional topic needs none."""
    if send.topic in sql.transactional:
        return rows

    def on(alias: FromClause, channel: str) -> ColumnElement[bool]:
        return and_(
            alias.c.partition == moving.c.partition,
            alias.c.contact == moving.c.contact,
            alias.c.topic == literal(send.topic, String()),
            alias.c.channel == literal(channel, String()),
        )

    return rows.outerjoin(_own, on(_own, send.channel)).outerjoin(_every, on(_every, EVERY_CHANNEL))


def blocks(sql: ProgramSql, send: Send) -> dict[str, ColumnElement[bool]]:
    """When policy blocks the message of a row that ``with_consent`` has joined, by reason, in the order of
    ``BLOCK_REASONS``."""
    found: dict[str, ColumnElement[bool]] = {}
    if address := ADDRESS_OF.get(send.channel):
        found["no_address"] = or_(contact.c[address].is_(None), contact.c[address] == "")
    if send.topic not in sql.transactional:
        state = func.coalesce(_own.c.state, _every.c.state, literal_column("''"))
        found["no_consent"] = state != constant(ConsentState.GIVEN.value)
    return found


def write_messages(sql: ProgramSql, start: Node, node: Node, connection: Connection, n: int) -> None:
    """Write the messages of the runs that have left the send ``node`` in pass ``n``, in the stretch that begins at
    ``start``: the row exists before anything is sent."""
    send = node.verb
    assert isinstance(send, Send)

    def build() -> Statement:
        left = {
            way.number: step
            for way in sql.ways.beginning(start.index)
            for step in way.steps
            if step.node is node
        }
        ready = [constant(number) for number, step in left.items() if step.edge.outcome == READY]
        reasons = {constant(number): constant(step.detail) for number, step in left.items() if step.detail}
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
                        (moving.c.way.in_(ready), constant(MessageStatus.READY.value)),
                        else_=constant(MessageStatus.BLOCKED.value),
                    ),
                    case(reasons, value=moving.c.way),
                    moving.c.at,
                    shifted(moving.c.at, constant(send.valid_for.elapsed)),
                    literal_column("0"),
                    case((moving.c.way.in_(ready), moving.c.at)),
                ).where(came(sql, list(left))),
            )
        )

    sql.once(("messages", start.index, node.index), build).run(connection, n=n)
