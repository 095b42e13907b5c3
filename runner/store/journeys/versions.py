"""The versions of journeys: stored whole when applied, never changed, and run by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, select

from runner.store.insert import insert_new, upsert
from runner.store.passes.working import steady_plans
from runner.store.tables import JourneyState, MessageStatus, RunStatus, journey, journey_version, message, run
from runner.store.types import constant


@dataclass(frozen=True, kw_only=True)
class StoredVersion:
    """A version as it was applied. ``files`` maps each path to the text that it was compiled from.

    ``current``: contacts enter it, by what is received at ``since`` (the first apply of the journey) or later.
    ``resumed_at`` is the end of its last pause, if there was one. ``state`` is that of the journey, and so are
    ``renames``: by former id of a step, the one that followed it; None where nobody has kept them yet.
    """

    id: int
    journey: str
    hash: str
    files: Mapping[str, str]
    renames: Mapping[str, str] | None
    since: datetime
    resumed_at: datetime | None
    state: JourneyState
    current: bool


def current_versions(connection: Connection) -> tuple[StoredVersion, ...]:
    """The version of each journey that contacts enter, by the journey's name."""
    return _versions(connection, _every_version().where(journey.c.version == journey_version.c.id))


def versions_in_use(connection: Connection) -> tuple[StoredVersion, ...]:
    """The current versions, those that somebody is still in or may be resumed in, and those that have messages to hand
    over, or perhaps to hand over again, by journey and age."""
    # Of an old version that nobody is in, PostgreSQL would read all runs to find none.
    steady_plans(connection)
    current = journey.c.version == journey_version.c.id
    # Each says what the partial index is of that serves it: ix_run_version, ix_run_set_aside, ix_message_ready, …_held,
    # …_unknown.
    inside, aside = (
        exists(
            select(run.c.id).where(
                run.c.version == journey_version.c.id, run.c.status == constant(status.value)
            )
        )
        for status in (RunStatus.ACTIVE, RunStatus.SET_ASIDE)
    )
    ready, held, unknown = (
        exists(select(message.c.run).where(message.c.version == journey_version.c.id, still))
        for still in (
            message.c.status == constant(MessageStatus.READY.value),
            message.c.lease_until.is_not(None),
            message.c.status == constant(MessageStatus.UNKNOWN.value),
        )
    )
    return _versions(connection, _every_version().where(current | inside | aside | ready | held | unknown))


def hashes_of(connection: Connection, name: str) -> Mapping[int, str]:
    """The hash of each version of the journey ``name`` that was ever applied, by its id."""
    query = select(journey_version.c.id, journey_version.c.hash).where(journey_version.c.journey == name)
    return {row.id: row.hash for row in connection.execute(query)}


def version_files(connection: Connection, version: int) -> Mapping[str, str]:
    """The texts that a version was compiled from, by their paths."""
    query = select(journey_version.c.files).where(journey_version.c.id == version)
    files: Mapping[str, str] = connection.execute(query).scalar_one()
    return files


def _every_version() -> Select[Any]:
    return (
        select(
            journey_version.c.id,
            journey_version.c.journey,
            journey_version.c.hash,
            journey_version.c.files,
            journey.c.renames,
            journey.c.since,
            journey.c.resumed_at,
            journey.c.state,
            (journey.c.version == journey_version.c.id).label("current"),
        )
        .select_from(journey)
        .join(journey_version, journey_version.c.journey == journey.c.name)
        .order_by(journey_version.c.journey, journey_version.c.id)
    )


def _versions(connection: Connection, query: Select[Any]) -> tuple[StoredVersion, ...]:
    return tuple(
        StoredVersion(
            id=row.id,
            journey=row.journey,
            hash=row.hash,
            files=row.files,
            renames=row.renames,
            since=row.since,
            resumed_at=row.resumed_at,
            state=JourneyState(row.state),
            current=bool(row.current),
        )
        for row in connection.execute(query)
    )


def store_version(
    connection: Connection,
    *,
    journey_name: str,
    hash_: str,
    files: Mapping[str, str],
    renames: Mapping[str, str],
    now: datetime,
    author: str | None,
    git_commit: str | None,
    anew: bool = False,
) -> int:
    """Have contacts enter this version from ``now`` on; answers its id. One that was applied before is
    taken up again.

    A paused journey stays paused. ``anew``: it was retired; what was received before ``now`` enters it no more.
    """
    connection.execute(
        insert_new(connection, journey_version),
        {
            "journey": journey_name,
            "hash": hash_,
            "files": dict(files),
            "applied_at": now,
            "author": author,
            "git_commit": git_commit,
        },
    )
    version: int = connection.execute(
        select(journey_version.c.id).where(
            journey_version.c.journey == journey_name, journey_version.c.hash == hash_
        )
    ).scalar_one()
    entered = upsert(connection, journey)
    connection.execute(
        entered.on_conflict_do_update(
            index_elements=["name"],
            # `since` stays: what was received before this version, and is not handled yet, enters it. Otherwise each
            # apply would lose the triggers of the moment.
            set_={
                "version": entered.excluded.version,
                "renames": entered.excluded.renames,
                **({"resumed_at": now} if anew else {}),
            },
        ),
        {
            "name": journey_name,
            "version": version,
            "since": now,
            "state": JourneyState.LIVE.value,
            "renames": dict(renames),
        },
    )
    return version
