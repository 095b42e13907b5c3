"""What the engine makes of generated lives: cut into batches and ticks, and read back from the database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from runner.engine.apply import apply_project
from runner.engine.presses import press
from runner.engine.tick import Pace, tick
from runner.engine.versions import Versions, load_versions
from runner.journey.project import Project
from runner.store import tables
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.people.events import store_events
from runner.store.sending.pools import import_values
from runner.store.tables import MessageKind
from tests.by_contact import rows_with_key
from tests.reference.lives import Conversion, Lived, Message, Press, RunRecord
from tests.reference.model import DRAWN
from tests.reference.vocabulary import CODES


def lived_by_the_engine(
    database: Database,
    project: Project,
    pace: Pace,
    *,
    began: datetime,
    known: Sequence[Arrival],
    arrived: Sequence[Arrival],
    presses: Sequence[Press],
    instants: Iterable[datetime],
) -> dict[str, Lived]:
    """What becomes of everybody in ``database``, an empty one: the journeys are applied at ``began``, when ``known``
    has happened; then all that has ``arrived`` is stored, and the engine ticks at the ``instants`` and the presses."""
    with database.begin() as connection:
        store_events(connection, database.deployment, known, pending=False)
    apply_project(database, project, now=began, author=None, git_commit=None)
    with database.begin() as connection:
        import_values(connection, "codes", CODES)
    versions = load_versions(database)

    def tick_until_done(instant: datetime) -> None:
        while tick(database, versions, instant, pace).more:
            pass

    tick_until_done(began)
    with database.begin() as connection:
        store_events(connection, database.deployment, arrived, pending=True)
    for instant in sorted({*instants, *(each.at for each in presses)}):
        tick_until_done(instant)
        for each in presses:
            if each.at == instant:
                press_button(database, versions, each)
                tick_until_done(instant)
    return read_lives(database)


def press_button(database: Database, versions: Versions, what: Press) -> None:
    press(
        database,
        versions,
        contact=what.contact,
        journey=what.journey,
        step=what.step,
        link=what.link,
        at=what.at,
        option=what.option,
        values=what.values,
    )


def read_lives(database: Database) -> dict[str, Lived]:
    with database.read() as connection:
        runs = [
            RunRecord(
                contact=row.key,
                journey=row.journey,
                per=row.per,
                entered_at=row.entered_at,
                status=row.status,
                reason=row.reason or "",
                ended_at=row.ended_at,
                step=row.step or "",
                data=RunRecord.said(without_codes(row.data)),
                held_out=row.held_out,
            )
            for row in rows_with_key(connection, tables.run)
        ]
        messages = [
            Message(
                contact=row.key,
                journey=row.journey,
                step=row.step,
                channel=row.channel,
                at=row.let_go_at,
                status=row.status,
                reason=row.reason or "",
                template=row.template or "",
            )
            for row in rows_with_key(connection, tables.message)
            if row.kind == MessageKind.MESSAGE
        ]
        conversions = [
            Conversion(
                contact=row.key,
                journey=row.journey,
                at=row.at,
                value=None if row.value is None else Decimal(row.value) / 1_000_000,
            )
            for row in rows_with_key(connection, tables.conversion)
        ]
        contacts = connection.execute(select(tables.contact)).all()
    return {
        row.key: Lived.told(
            runs=[found for found in runs if found.contact == row.key],
            messages=[found for found in messages if found.contact == row.key],
            conversions=[found for found in conversions if found.contact == row.key],
            attributes=row.attributes,
            tags=row.tags,
        )
        for row in contacts
    }


def without_codes(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """``run.NAME`` with the same word for every value of a pool: which one it is hangs on who else draws."""
    return {name: DRAWN if value in CODES else value for name, value in data.items()}


def drawn_codes(database: Database) -> list[str]:
    """The values that runs hold, as often as they do."""
    with database.read() as connection:
        held = [row.data.get("code") for row in connection.execute(select(tables.run.c.data))]
    return [code for code in held if code is not None]
