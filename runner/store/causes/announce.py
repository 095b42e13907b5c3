"""Internal events: what a run does elsewhere, told to whom it concerns.

Such an event has the instant of its cause and takes its turn on the contact's timeline, before anything later of that
contact. Journeys that start each other in a circle would never let time move on; so the internal events of a contact
at one instant are numbered, and the run that causes one too many is set aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Select,
    Text,
    and_,
    cast,
    insert,
    literal,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.base import Executable

from runner.journey.reserved import CIRCLE_BROKEN
from runner.store.passes.told import NEXT_PLACE, ROUND, telling
from runner.store.passes.working import in_pass, told, wave
from runner.store.statement import Statement
from runner.store.tables import RunStatus, event, run
from runner.store.types import constant

MOST_AT_ONCE = 50
"""Internal events of a contact at one instant."""
CIRCLE = "circle"
"""Why a run was set aside that caused one more."""

CAUSED = ("partition", "contact", "run", "at", "name", "properties", "key")
"""The columns of the rows that become internal events. ``run`` is what causes it, or NULL; ``key`` is unique within the
contact: the same cause is stored once, however often it is told."""
RECEIVED_AT = "received_at"
"""A further column of rows that are not received when they happen."""


def cause_key(
    run: ColumnElement[int], step: str, visit: ColumnElement[int], part: str = ""
) -> ColumnElement[str]:
    """The key of what a run causes at a step, once a visit. ``part`` tells apart what it causes there."""
    return (
        literal_column("'run:'")
        + cast(run, Text())
        + literal(f":{step}{part}:", Text())
        + cast(visit, Text())
    )


class Announcement(Statement):
    """A statement that tells of internal events; ``take_told`` or ``store_told`` stores them."""

    def __init__(self, construct: Executable, *, one_each: bool) -> None:
        super().__init__(construct)
        self._one_each = one_each

    def run(self, connection: Connection, **parameters: Any) -> CursorResult[Any]:
        """Execute as any statement. The rows counted are those that were told, be it for the second time."""
        now_telling = telling(connection)
        done = super().run(connection, **parameters, round=now_telling.round)
        now_telling.note(done.rowcount, one_each=self._one_each)
        return done


def announcement(
    dialect: str, found: Select[Any], *, one_each: bool = False, order: Sequence[str] = ("run", "name", "key")
) -> Announcement:
    """The statement that tells an internal event for each row of ``found``, which has the columns ``CAUSED``, and those
    of ``order``, in which those of one contact come: that of the runs that cause them, unless said. ``one_each``: no
    contact has several, so that nothing has to be sorted.
    """
    rows = found.subquery("caused")
    names = (*CAUSED, RECEIVED_AT) if RECEIVED_AT in rows.c else CAUSED
    values: dict[str, ColumnElement[Any]] = {"n": ROUND, **{name: rows.c[name] for name in names}}
    if dialect == "postgresql":
        values["place"] = NEXT_PLACE
    query = select(*values.values())
    if not one_each:
        query = query.order_by(*(rows.c[name] for name in order))
    return Announcement(insert(told).from_select(list(values), query), one_each=one_each)


_too_many = and_(in_pass(wave), wave.c.nth > MOST_AT_ONCE)
# Where it stood stays written, so that it can be resumed.
_SET_ASIDE = Statement(
    update(run)
    .values(
        status=constant(RunStatus.SET_ASIDE.value),
        reason=constant(CIRCLE),
        ended_at=wave.c.at,
        step=None,
        review_at=None,
        next_at=None,
    )
    .where(
        _too_many,
        event.c.partition == wave.c.partition,
        event.c.contact == wave.c.contact,
        event.c.id == wave.c.event,
        run.c.partition == wave.c.partition,
        run.c.contact == wave.c.contact,
        run.c.id == event.c.caused_by,
        run.c.status == constant(RunStatus.ACTIVE.value),
    )
)
_UNHEARD = Statement(update(wave).values(name=literal_column(f"'{CIRCLE_BROKEN}'")).where(_too_many))


def break_circles(connection: Connection, n: int) -> None:
    """Set aside the runs that cause the events of pass ``n`` that are too many. Nobody hears these."""
    _SET_ASIDE.run(connection, n=n)
    _UNHEARD.run(connection, n=n)
