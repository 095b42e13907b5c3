"""The workload, stopped at one of its points, and what became of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psycopg
from sqlalchemy import text

from channels.base import Message, Result
from runner.engine.versions import Version, Versions
from runner.store import tables
from runner.store.database import Database
from tests.shop import START
from tests.simulation.ground import empty_database
from tests.simulation.process import Process
from tests.simulation.provider import Answer, Askable, Plain, Provider
from tests.simulation.stand import Handle
from tests.simulation.wire import Connections, Crash, Listener, Moment, listen
from tests.simulation.workload import Act, lives

NEVER = -1


class Place(Protocol):
    """A database in which the workload can be lived again and again."""

    listener: Listener

    @property
    def database(self) -> Database: ...

    def image(self) -> Any:
        """All that stands in it."""

    def put_back(self, image: Any) -> None:
        """Make it what it was at the ``image``."""

    def cut(self) -> None:
        """Lose all connections, as a process that dies; return when their locks are free."""


class SqlitePlace(Handle):
    """A SQLite file, which can be put back to where it was."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "stops.db"
        self.path.write_bytes(empty_database())
        super().__init__(self.path)

    def image(self) -> bytes:
        self.cut()  # the last one who leaves merges the log into the file
        return self.path.read_bytes()

    def put_back(self, image: bytes) -> None:
        self.cut()
        for path in self.path.parent.glob(f"{self.path.name}-*"):
            path.unlink()
        self.path.write_bytes(image)


class PostgresPlace:
    """A schema on a PostgreSQL server; ``database`` is open in it, and was not used before."""

    def __init__(self, database: Database, url: str) -> None:
        self.database = database
        self.listener: Listener = lambda moment, statement: None
        self._connections = Connections(database.engine)
        with database.read() as connection:
            schema = connection.execute(text("SELECT current_schema()")).scalar_one()
        database.engine.dispose()
        listen(database.engine, lambda moment, statement: self.listener(moment, statement))
        self._observer = psycopg.connect(url, autocommit=True)
        # What is put back is what was there: no foreign key, no trigger has to look at it.
        self._observer.execute("SELECT set_config('search_path', %s, false)", (schema,))
        self._observer.execute("SET session_replication_role = replica")

    def image(self) -> Image:
        rows = {}
        for table in tables.metadata.sorted_tables:
            with self._observer.cursor().copy(
                f"COPY {table.name} TO STDOUT (FORMAT BINARY)".encode()
            ) as copy:
                rows[table.name] = b"".join(copy)
        sequences = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema()"
        return Image(rows, dict(self._observer.execute(sequences).fetchall()))

    def put_back(self, image: Image) -> None:
        self.cut()
        found = self.image()
        differ = [name for name, rows in image.rows.items() if rows != found.rows[name]]
        with self._observer.transaction():
            for name in differ:
                self._observer.execute(f"DELETE FROM {name}".encode())
                copying = f"COPY {name} FROM STDIN (FORMAT BINARY)".encode()
                with self._observer.cursor().copy(copying) as copy:
                    copy.write(image.rows[name])
            for name, last in image.sequences.items():
                self._observer.execute("SELECT setval(%s, %s, %s)", (name, last or 1, last is not None))

    def cut(self) -> None:
        sessions = self._connections.cut()
        self.database.engine.dispose()
        deadline = time.monotonic() + 10
        query = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)"
        while self._observer.execute(query, (sessions,)).fetchone() != (0,):
            assert time.monotonic() < deadline, "the server keeps sessions whose sockets are closed"
            time.sleep(0.002)

    def close(self) -> None:
        self.cut()
        self._observer.close()


@dataclass(frozen=True)
class Image:
    """All that stands in a schema: by table, as COPY writes it, and the last number of each sequence."""

    rows: Mapping[str, bytes]
    sequences: Mapping[str, int | None]


class Answers:
    """What the provider does with the first messages: ana has to come again, and while bob is served the process
    dies, once each; cy is refused. ``left`` are those that are still to come."""

    def __init__(self, left: Mapping[str, Answer]) -> None:
        self.left = dict(left)

    def __call__(self, message: Message) -> Answer:
        if message.step != "hello" or message.let_go_at != START:
            return Answer.TAKEN
        return Answer.REFUSED if message.contact == "cy" else self.left.pop(message.contact, Answer.TAKEN)


FIRST_ANSWERS: Mapping[str, Answer] = {"ana": Answer.BUSY, "bob": Answer.DIES}


@dataclass(frozen=True)
class Outside:
    """What a dead process leaves behind outside of the database: what the provider took, and has yet to answer."""

    taken: Counter[str]
    left: Mapping[str, Answer]


class Workload:
    """The acts over one place. ``asks``: the channel can be asked what became of a message. ``moments`` are the
    points of what was lived last."""

    def __init__(self, place: Place, acts: Sequence[Act], *, asks: bool) -> None:
        self.place = place
        self.acts = acts
        self._asks = asks
        self._crash_at = NEVER
        self.moments: list[Moment] = []
        self._dead = self._living = False
        self._compiled: dict[int, Version] = {}
        self.restore(Outside(Counter(), FIRST_ANSWERS))
        place.listener = self._hear

    def restore(self, outside: Outside) -> None:
        self._provider = Provider(lambda key: True)
        self._provider.taken.update(outside.taken)
        self._answers = Answers(outside.left)

    @property
    def outside(self) -> Outside:
        return Outside(Counter(self._provider.taken), dict(self._answers.left))

    def live(self, acts: Sequence[Act], crash_at: int = NEVER) -> None:
        """The acts in their order; the process dies at the point ``crash_at``, counted from here, and another goes
        on."""
        self.moments, self._crash_at, self._living = [], crash_at, True
        for act in acts:
            process = self._process(act)
            more = True
            while more:
                try:
                    more = act.do(process, act.at)
                except Crash:
                    process = self._process(act)
                except Exception:
                    if not self._dead:
                        raise
                    process = self._process(act)
            self._compiled |= {version.id: version for version in process.versions or ()}
        self._living = False

    def _process(self, act: Act) -> Process:
        self.place.cut()
        self._dead = False
        channel = (_Asked if self._asks else _NotAsked)(self._provider, self._answers, lambda: None)
        channel.hear = self._hear
        # Compiling is the greater part of a process's beginning, and touches no database.
        compiled = Versions(tuple(self._compiled.values()), ())
        return Process(self.place.database, {"email": channel}, lambda: act.at, compiled=compiled)

    def _hear(self, moment: Moment, statement: str) -> None:
        if not self._living:
            return
        if self._dead:
            raise Crash("it is dead already")
        self.moments.append(moment)
        if len(self.moments) - 1 == self._crash_at:
            self._dead = True
            self.place.cut()
            raise Crash(f"{moment.value}: {statement}")

    def lived(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """What became of everybody."""
        self.place.cut()
        return lives(self.place.database)


class _NotAsked(Plain):
    hear: Listener

    def send(self, message: Message) -> Result:
        self.hear(Moment.HAND_OVER, message.contact)
        result = super().send(message)
        self.hear(Moment.HANDED_OVER, message.contact)
        return result


class _Asked(_NotAsked, Askable):
    """The same, with ``look_up`` and the other side's memory."""

    _again = False
