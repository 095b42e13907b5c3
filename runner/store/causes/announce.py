"""Internal events: what a run does elsewhere, told to whom it concerns.

Such an event has the instant of its cause and takes its turn on the contact's timeline, before anything later of that
contact. Journeys that start each other in a circle would never let time move on; so the internal events of a contact
at one instant are numbered, and the run that causes one too many is set aside.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    SmallInteger,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from runner.store.passes.working import in_pass, wave
from runner.store.statement import Statement
from runner.store.tables import RunStatus, event, event_id_sequence, run
from runner.store.types import constant

MOST_AT_ONCE = 50
"""Internal events of a contact at one instant."""
CIRCLE = "circle"
"""Why a run was set aside that caused one more."""
BROKEN = "Circle Broken"
"""What the wave calls an event that nobody hears."""

CAUSED = ("partition", "contact", "run", "at", "name", "properties", "key")
"""The columns of the rows that become internal events. ``run`` is what causes it, or NULL; ``key`` is unique within the
contact: the same cause is stored once, however often it is told."""


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


def announcement(dialect: str, found: Select[Any], *, one_each: bool = False) -> Statement:
    """The statement that stores an internal event for each row of ``found``, which has the columns ``CAUSED``.

    Those of one contact come in the order of the runs that cause them. ``one_each``: no contact has several, so that
    nothing has to be sorted.
    """
    if one_each:
        return _one_each(dialect, found)
    rows = found.subquery("caused")
    last = event.alias("last")
    of_contact = and_(last.c.partition == rows.c.partition, last.c.contact == rows.c.contact)
    if dialect == "postgresql":
        latest: Any = (
            select(last.c.id, last.c.at, last.c.nth)
            .where(of_contact)
            .order_by(last.c.id.desc())
            .limit(1)
            .lateral("latest")
        )
        source = rows.outerjoin(latest, true())
    else:
        latest = event.alias("latest")
        newest = select(func.max(last.c.id)).where(of_contact).correlate(rows).scalar_subquery()
        source = rows.outerjoin(
            latest,
            and_(
                latest.c.partition == rows.c.partition,
                latest.c.contact == rows.c.contact,
                latest.c.id == newest,
            ),
        )
    place = func.row_number().over(
        partition_by=(rows.c.partition, rows.c.contact), order_by=(rows.c.run, rows.c.name, rows.c.key)
    )
    before = case((latest.c.at == rows.c.at, func.coalesce(latest.c.nth, 0)), else_=literal_column("0"))
    numbered = (
        select(
            *rows.c,
            func.coalesce(latest.c.id, 0).label("before"),
            cast(place, BigInteger()).label("place"),
            # What no run causes is in no circle.
            cast(
                case((rows.c.run.is_not(None), before + place), else_=literal_column("0")), SmallInteger()
            ).label("nth"),
        )
        .select_from(source)
        .order_by(rows.c.partition, rows.c.contact, literal_column("place"))
        .subquery("numbered")
    )
    identity: Any = (
        event_id_sequence.next_value() if dialect == "postgresql" else numbered.c.before + numbered.c.place
    )
    return _stored(dialect, numbered, identity, numbered.c.nth)


def _one_each(dialect: str, found: Select[Any]) -> Statement:
    rows = found.subquery("caused")
    last = event.alias("last")
    newest = (
        select(func.coalesce(func.max(last.c.id), 0))
        .where(last.c.partition == rows.c.partition, last.c.contact == rows.c.contact)
        .correlate(rows)
        .scalar_subquery()
    )
    identity: Any = (
        event_id_sequence.next_value() if dialect == "postgresql" else newest + literal_column("1")
    )
    before = (
        select(case((last.c.at == rows.c.at, func.coalesce(last.c.nth, 0)), else_=literal_column("0")))
        .where(last.c.partition == rows.c.partition, last.c.contact == rows.c.contact)
        .order_by(last.c.id.desc())
        .limit(1)
        .correlate(rows)
        .scalar_subquery()
    )
    # What no run causes is in no circle.
    nth = case(
        (rows.c.run.is_not(None), func.coalesce(before, 0) + literal_column("1")), else_=literal_column("0")
    )
    return _stored(dialect, rows, identity, cast(nth, SmallInteger()))


def _stored(dialect: str, rows: Any, identity: Any, nth: ColumnElement[Any]) -> Statement:
    into = (postgresql if dialect == "postgresql" else sqlite).insert(event)
    return Statement(
        into.from_select(
            [
                "partition",
                "contact",
                "id",
                "name",
                "at",
                "received_at",
                "properties",
                "dedup_key",
                "pending",
                "caused_by",
                "nth",
            ],
            select(
                rows.c.partition,
                rows.c.contact,
                identity,
                rows.c.name,
                rows.c.at,
                rows.c.at,
                rows.c.properties,
                rows.c.key,
                literal_column("true" if dialect == "postgresql" else "1"),
                rows.c.run,
                nth,
            ).where(true()),  # SQLite takes ON CONFLICT for a part of a join in a SELECT without WHERE
        ).on_conflict_do_nothing()
    )


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
_UNHEARD = Statement(update(wave).values(name=literal_column(f"'{BROKEN}'")).where(_too_many))


def break_circles(connection: Connection, n: int) -> None:
    """Set aside the runs that cause the events of pass ``n`` that are too many. Nobody hears these."""
    _SET_ASIDE.run(connection, n=n)
    _UNHEARD.run(connection, n=n)
