"""How the arms of experiments do, and the shares that follow from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
)

from runner.journey.catalog import MESSAGE_COMPLAINED, MESSAGE_UNSUBSCRIBED
from runner.store.passes.holdouts import EVERY_JOURNEY, HELD_OUT
from runner.store.tables import assignment, conversion, event, experiment
from runner.store.types import constant, json_text


@dataclass(frozen=True, kw_only=True)
class ArmCount:
    """Contacts that were given ``arm``, and how many of them have reached the goal or unsubscribed since."""

    cell: str
    arm: str
    contacts: int
    reached: int
    unsubscribed: int


@dataclass(frozen=True, kw_only=True)
class ArmShare:
    """The parts of ten thousand from ``begins`` up to ``ends`` get the arm; none where these are the same."""

    count: ArmCount
    begins: int
    ends: int


def arm_counts(connection: Connection, journey: str, step: str) -> tuple[ArmCount, ...]:
    """How the arms of a split do, by cell and arm. Those who are held out are not counted: they receive nothing."""
    other = assignment.alias("other")
    one: ColumnElement[int] = literal_column("1", Integer())
    mine = and_(assignment.c.journey == journey, assignment.c.step == step)
    is_held_out = exists(one).where(
        other.c.partition == assignment.c.partition,
        other.c.contact == assignment.c.contact,
        other.c.journey.in_([journey, EVERY_JOURNEY]),
        other.c.arm == constant(HELD_OUT),
    )
    reached = exists(one).where(
        conversion.c.partition == assignment.c.partition,
        conversion.c.contact == assignment.c.contact,
        conversion.c.journey == journey,
        conversion.c.at >= assignment.c.at,
    )
    unsubscribed = exists(one).where(
        event.c.partition == assignment.c.partition,
        event.c.contact == assignment.c.contact,
        or_(event.c.name == MESSAGE_UNSUBSCRIBED, event.c.name == MESSAGE_COMPLAINED),
        event.c.at >= assignment.c.at,
        json_text(event.c.properties, constant("journey")) == journey,
    )
    found = connection.execute(
        select(
            assignment.c.cell,
            assignment.c.arm,
            func.count(),
            func.sum(case((reached, 1), else_=0), type_=Integer()),
            func.sum(case((unsubscribed, 1), else_=0), type_=Integer()),
        )
        .where(mine, assignment.c.at.is_not(None), ~is_held_out)
        .group_by(assignment.c.cell, assignment.c.arm)
    )
    return tuple(
        ArmCount(
            cell=cell or "", arm=arm, contacts=contacts, reached=int(reached), unsubscribed=int(unsubscribed)
        )
        for cell, arm, contacts, reached, unsubscribed in found
    )


def last_looked(connection: Connection, journey: str, step: str) -> datetime | None:
    """When the shares of an experiment were last computed; None where they never were."""
    mine = and_(experiment.c.journey == journey, experiment.c.step == step)
    return connection.execute(
        select(func.max(experiment.c.at, type_=experiment.c.at.type)).where(mine)
    ).scalar()


def keep_shares(
    connection: Connection, journey: str, step: str, shares: Sequence[ArmShare], now: datetime
) -> None:
    """Have newcomers given their arms by ``shares`` from now on."""
    connection.execute(delete(experiment).where(experiment.c.journey == journey, experiment.c.step == step))
    if shares:
        connection.execute(
            insert(experiment),
            [
                {
                    "journey": journey,
                    "step": step,
                    "cell": share.count.cell,
                    "arm": share.count.arm,
                    "begins": share.begins,
                    "ends": share.ends,
                    "contacts": share.count.contacts,
                    "reached": share.count.reached,
                    "unsubscribed": share.count.unsubscribed,
                    "at": now,
                }
                for share in shares
            ],
        )
