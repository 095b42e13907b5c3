"""The people of a scenario: what is arranged before they are played, what is asked on the way, and that nothing of them
stays."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, and_, delete, insert, literal, select

from runner.store.passes.holdouts import HELD_OUT, IN
from runner.store.tables import (
    LET_GO,
    account,
    address_use,
    appointment,
    assignment,
    begun,
    broadcast,
    broadcast_heard,
    broadcast_hearing,
    consent,
    consent_log,
    contact,
    conversion,
    deferral,
    event,
    membership,
    message,
    rate_use,
    run,
    step_log,
    suppressed_address,
    suppression,
)

CONTACT_OWNED = (
    account,
    appointment,
    begun,
    broadcast,
    broadcast_heard,
    broadcast_hearing,
    membership,
    suppressed_address,
    suppression,
    conversion,
    message,
    assignment,
    address_use,
    rate_use,
    deferral,
    step_log,
    run,
    event,
    consent_log,
    consent,
    contact,
)
"""Every table with rows of contacts, or of places that they have taken."""


def assign_arm(connection: Connection, key: str, journey: str, step: str, arm: str) -> None:
    """Give the contact ``key`` an arm of a split before it comes there."""
    connection.execute(
        insert(assignment).from_select(
            ["partition", "contact", "journey", "step", "arm"],
            select(contact.c.partition, contact.c.id, literal(journey), literal(step), literal(arm)).where(
                contact.c.key == key
            ),
        )
    )


def last_message(connection: Connection, key: str, journey: str, step: str, at: datetime) -> int | None:
    """The run whose message of a step was let go last, up to ``at``, of the contact ``key``."""
    last = (
        select(message.c.run)
        .select_from(
            message.join(
                contact,
                and_(contact.c.partition == message.c.partition, contact.c.id == message.c.contact),
            )
        )
        .where(
            contact.c.key == key,
            message.c.journey == journey,
            message.c.step == step,
            message.c.status.in_(LET_GO),
            message.c.let_go_at <= at,
        )
        .order_by(message.c.let_go_at.desc(), message.c.run.desc())
        .limit(1)
    )
    return connection.execute(last).scalar()


def journeys_with_goals(connection: Connection) -> frozenset[str]:
    """The journeys of which a goal was counted."""
    return frozenset(connection.execute(select(conversion.c.journey).distinct()).scalars())


def assign_holdout(connection: Connection, key: str, journey: str, step: str, held_out: bool) -> None:
    """Say of the contact ``key`` whether it is held out, before it enters."""
    assign_arm(connection, key, journey, step, HELD_OUT if held_out else IN)


def forget_contacts(connection: Connection) -> None:
    """Empty every table of contacts, so that a scratch database serves for the next scenario."""
    for table in CONTACT_OWNED:
        connection.execute(delete(table))
