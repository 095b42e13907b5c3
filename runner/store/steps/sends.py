"""What policy says about a message at the instant of its send, and the rows of the messages that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    String,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
)

from runner.journey.catalog import ADDRESS_OF as ADDRESS_OF
from runner.journey.catalog import EVERY_CHANNEL, OptIn
from runner.journey.expression import Expression
from runner.journey.graph import Node
from runner.journey.model import Send
from runner.journey.send_rules import CONSENT_STALE, NO_ADDRESS, NO_CONSENT, SUPPRESSED
from runner.store.passes.program import ProgramSql, came, forking, of_run
from runner.store.passes.ways import ALREADY, READY
from runner.store.passes.working import moving
from runner.store.predicates import predicate
from runner.store.statement import Connection, Statement
from runner.store.tables import (
    ConsentState,
    MessageStatus,
    SuppressionReason,
    consent,
    contact,
    message,
    run,
    suppression,
)
from runner.store.types import constant, shifted

_own, _every = consent.alias("own"), consent.alias("every")
_FOR_ALL = (SuppressionReason.BOUNCED.value, SuppressionReason.COMPLAINED.value)


def with_consent(sql: ProgramSql, send: Send, rows: FromClause) -> FromClause:
    """``rows`` of moving, joined with the consent that the send asks for. A consent for the channel itself goes before
    one for every channel; a transactional topic needs none."""
    if sql.rules.transactional(send):
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
    """When policy blocks the message of a row that ``with_consent`` has joined, by reason, in the order in which it is
    asked."""
    asked = {
        NO_ADDRESS: _no_address,
        SUPPRESSED: _suppressed,
        NO_CONSENT: _no_consent,
        CONSENT_STALE: _consent_stale,
    }
    return {reason: asked[reason](sql, send) for reason in sql.rules.block_reasons(send)}


def opt_in_reads(sql: ProgramSql, send: Send) -> tuple[Expression, ...]:
    """The conditions by which the send's topic tells apart how people consent."""
    topic = sql.rules.topics.get(send.topic)
    return tuple(each.when for each in topic.cases if each.when is not None) if topic else ()


def _no_address(_: ProgramSql, send: Send) -> ColumnElement[bool]:
    address = contact.c[ADDRESS_OF[send.channel]]
    return or_(address.is_(None), address == literal_column("''"))


def _suppressed(sql: ProgramSql, send: Send) -> ColumnElement[bool]:
    # Whoever unsubscribed without saying from what still gets receipts.
    of_all = [suppression.c.reason.in_([constant(reason) for reason in _FOR_ALL])]
    return exists(
        select(literal_column("1"))
        .where(
            suppression.c.partition == moving.c.partition,
            suppression.c.contact == moving.c.contact,
            suppression.c.channel == literal(send.channel, String()),
            # Capital letters make no other address.
            func.lower(suppression.c.address) == func.lower(contact.c[ADDRESS_OF[send.channel]]),
            *(of_all if sql.rules.transactional(send) else []),
        )
        .correlate_except(suppression)
    )


def _no_consent(sql: ProgramSql, send: Send) -> ColumnElement[bool]:
    state = func.coalesce(_own.c.state, _every.c.state, literal_column("''"))
    not_given = state != constant(ConsentState.GIVEN.value)
    # Nobody need have said yes to a topic with a soft opt-in; whoever says no, or has yet to confirm, gets nothing.
    refused = state.in_([constant(ConsentState.WITHDRAWN.value), constant(ConsentState.PENDING.value)])
    topic = sql.rules.topics.get(send.topic)
    if topic is None:
        return not_given
    row = sql.row(moving)
    cases = [
        (predicate(each.when, row, sql.dialect), refused if each.opt_in is OptIn.SOFT else not_given)
        for each in topic.cases
        if each.when is not None
    ]
    otherwise = refused if topic.opt_in is OptIn.SOFT else not_given
    return case(*cases, else_=otherwise) if cases else otherwise


def _consent_stale(sql: ProgramSql, send: Send) -> ColumnElement[bool]:
    age = sql.rules.topics[send.topic].stale_after
    assert age is not None
    own = _own.c.state.is_not(None)
    given = func.coalesce(_own.c.state, _every.c.state) == constant(ConsentState.GIVEN.value)
    since = case((own, _own.c.since), else_=_every.c.since)
    return and_(given, shifted(since, constant(age.elapsed)) <= moving.c.at)


def write_messages(
    sql: ProgramSql, start: Node, sends: Sequence[Node], connection: Connection, n: int
) -> None:
    """Write the messages of the runs that have left one of ``sends`` in pass ``n``, all of which are in the stretch
    that begins at ``start``: the row exists before anything is sent. One statement writes those that are alike but for
    their step: they have their topic and channel in common."""
    alike: dict[tuple[int, bool], list[Node]] = {}
    for node in sends:
        assert isinstance(node.verb, Send)
        key = node.verb.valid_for.elapsed, node.step.id in sql.rules.keeping
        alike.setdefault(key, []).append(node)
    for nodes in alike.values():
        build = partial(_messages, sql, start, nodes)
        sql.once(("messages", start.index, nodes[0].index), build).run(connection, n=n)


def _messages(sql: ProgramSql, start: Node, nodes: Sequence[Node]) -> Statement:
    first = nodes[0]
    assert isinstance(first.verb, Send)
    # A way ends behind its first send.
    left = {
        way.number: step
        for way in sql.ways.beginning(start.index)
        for step in way.steps
        if step.node.index in {node.index for node in nodes} and step.detail != ALREADY
    }
    taken = moving.c.path if forking(sql, start) else moving.c.way
    ready = [constant(number) for number, step in left.items() if step.edge.outcome == READY]
    leaves = taken.in_(ready)
    keeps = first.step.id in sql.rules.keeping
    # Only where runs come from other versions may one have been put back by a link that this version has not.
    visit = run.c.visit if sql.follows else literal_column("1")
    *others, last = [node.step.id for node in nodes]
    steps = {
        constant(number): literal(step.node.step.id, String())
        for number, step in left.items()
        if step.node.step.id in others
    }
    details = {constant(number): constant(step.detail) for number, step in left.items() if step.detail}
    # Nothing keeps a receipt back on a channel that goes by the contact's key.
    reason: ColumnElement[Any] = (
        case((leaves, null()), else_=case(details, value=taken)) if details else null()
    )
    return insert_messages(
        sql,
        first,
        moving,
        {
            **({"step": case(steps, value=taken, else_=literal(last, String()))} if others else {}),
            "visit": visit,
            "status": case(
                (leaves, constant(MessageStatus.READY.value)),
                else_=constant(MessageStatus.BLOCKED.value),
            ),
            "reason": reason,
            "let_go_at": moving.c.at,
            "expires_at": shifted(moving.c.at, constant(first.verb.valid_for.elapsed)),
            "available_at": case((leaves, moving.c.at)),
        },
        moving.join(run, of_run(moving)) if keeps or sql.follows else moving,
        came(sql, list(left)),
    )


def insert_messages(
    sql: ProgramSql,
    node: Node,
    rows: FromClause | type,
    decided: Mapping[str, ColumnElement[Any]],
    joined: FromClause,
    *where: ColumnElement[bool],
) -> Statement:
    """The insert of a message of the send ``node`` for each of ``rows``, which carry the key of a run. ``decided``: the
    columns in which they differ. ``joined``: the rows with all that is read, and with their runs where the step keeps
    what these knew."""
    send = node.verb
    assert isinstance(send, Send)
    values: dict[str, ColumnElement[Any]] = {
        "partition": rows.c.partition,  # type: ignore[union-attr]
        "contact": rows.c.contact,  # type: ignore[union-attr]
        "run": rows.c.run,  # type: ignore[union-attr]
        "step": literal(node.step.id, String()),
        "journey": literal(sql.program.journey.name, String()),
        "version": constant(sql.version),
        "channel": literal(send.channel, String()),
        "topic": literal(send.topic, String()),
        "attempts": literal_column("0"),
        **decided,
        **({"payload": run.c.data} if node.step.id in sql.rules.keeping else {}),
    }
    found = select(*values.values()).select_from(joined).where(*where)
    return Statement(insert(message).from_select(list(values), found))
