"""Whether a process lives, and whether it is of use: two questions that must not be confused.

Somebody who finds a process not *healthy* ends it and starts another. One that is not *ready* is left alone: its
database may be away, and starting it anew would not bring that back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from runner.daemon.observe.lately import Lately
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.journeys.in_force import InForce, in_force
from runner.store.migrations import Standing, standing
from runner.store.watching.vital_signs import VitalSigns, read_vital_signs

SILENT = timedelta(minutes=5)
"""A stage without a sign of life for that long is not healthy: half of what the daemon gives it before it ends the
process by itself."""


class Beating(Protocol):
    """A stage, as far as its health goes. ``worked``: it has done what it was to do at least once; ``failure``: why its
    last attempt did not; ``failures``: how often that was."""

    @property
    def name(self) -> str: ...
    @property
    def every(self) -> timedelta: ...
    @property
    def worked(self) -> bool: ...
    @property
    def failure(self) -> str | None: ...
    @property
    def failures(self) -> int: ...
    def silent_for(self) -> timedelta: ...


class Living(Protocol):
    """A daemon, as far as its health goes."""

    @property
    def stages(self) -> Sequence[Beating]: ...
    @property
    def stopping(self) -> bool: ...


class Delivering(Protocol):
    """The processes that deliver for a daemon. ``restarts``: how often one ended and was to be started anew."""

    @property
    def restarts(self) -> int: ...
    def trouble(self) -> str | None:
        """Why they are of no use at present; None where they are."""
        ...


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the database said at one instant. ``standing``: how its schema fits this version of the software."""

    signs: VitalSigns
    in_force: InForce
    standing: Standing


_UNFIT = {
    Standing.EMPTY: "the database has none of our tables",
    Standing.BEHIND: "the database misses migrations of this version of the software",
    Standing.TOO_NEW: "the database was migrated by a newer version of the software; update this one",
}

Reasons = tuple[str, ...]
"""Why not. Empty is well. They name stages, channels and the database, and no person."""


def look(database: Database, clock: Callable[[], datetime]) -> Seen:
    """Ask the database how it is. Cheap enough for every few seconds; raises JourneysError where it does not answer."""
    with database.read() as connection:
        return Seen(
            signs=read_vital_signs(connection, clock()),
            in_force=in_force(connection),
            standing=standing(connection),
        )


class Health:
    """The two answers for one process. ``seen`` looks at its database; ``workers`` deliver for it, None where it does
    so itself."""

    def __init__(
        self,
        process: Living,
        seen: Lately[Seen],
        silent: timedelta = SILENT,
        workers: Delivering | None = None,
    ) -> None:
        self._process = process
        self._seen = seen
        self._workers = workers
        self._silent = silent

    def unhealthy(self) -> Reasons:
        """Why the process should be ended. Asks nobody outside of it."""
        return tuple(
            f"stage {stage.name} has given no sign of life for {stage.silent_for().total_seconds():.0f} s"
            for stage in self._process.stages
            if stage.silent_for() > self._silent + stage.every
        )

    def unready(self) -> Reasons:
        """Why the process is of no use at present."""
        stopping = ("it is stopping",) if self._process.stopping else ()
        return (*stopping, *self._database_trouble(), *self._stage_trouble(), *self._worker_trouble())

    def _worker_trouble(self) -> Reasons:
        trouble = self._workers.trouble() if self._workers else None
        return (trouble,) if trouble else ()

    def _database_trouble(self) -> Reasons:
        try:
            seen = self._seen.ask()
        except JourneysError as error:
            return (str(error),)
        except TimeoutError as error:
            return (f"the database: {error}",)
        return (_UNFIT[seen.standing],) if seen.standing in _UNFIT else ()

    def _stage_trouble(self) -> Reasons:
        # A stage reads the versions and opens its channels before it does anything, so it fails where that fails.
        return tuple(
            f"stage {stage.name}: {stage.failure or 'has not been through its first look'}"
            for stage in self._process.stages
            if stage.failure or not stage.worked
        )
