"""What worlds are played on: one SQLite file in memory, and a database handle for each process that there can be.

It is set anew for each world. Handles are kept from world to world, since what SQLAlchemy has compiled hangs on
them; the connections are not.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

from runner.store.database import Database
from tests.simulation.ground import DEPLOYMENT, empty_database
from tests.simulation.wire import Connections, Listener, Moment, listen

PROCESSES = 4
"""Three runners at most, and one process in which events are stored and projects applied."""


def folder_in_memory() -> Path:
    """A new folder, on a disk in memory where the machine has one: nothing here is about losing power."""
    in_memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="journeys-", dir=in_memory if in_memory.is_dir() else None))


class Handle:
    """The database as one process sees it. ``listener`` hears each statement and commit."""

    def __init__(self, path: Path) -> None:
        engine = Database.open(f"sqlite:///{path}").engine
        self.database = Database(engine, DEPLOYMENT)
        self.listener: Listener = _nobody
        self._connections = Connections(engine)
        listen(engine, lambda moment, statement: self.listener(moment, statement))
        self.cut()

    def cut(self) -> None:
        """Lose every connection, as a process that dies."""
        self._connections.cut()
        self.database.engine.dispose()


def _nobody(moment: Moment, statement: str) -> None:
    """Between worlds nobody listens."""


class Stand:
    """Make one, set it for each world, ``close`` it."""

    def __init__(self) -> None:
        self._folder = folder_in_memory()
        self._path = self._folder / "world.db"
        self._path.write_bytes(empty_database())
        self.handles = [Handle(self._path) for _ in range(PROCESSES)]
        self._observer = Handle(self._path)
        self.reader = sqlite3.connect(self._path, isolation_level=None)

    @property
    def observed(self) -> Database:
        """The database as nobody of the world sees it."""
        return self._observer.database

    def set(self, image: bytes) -> None:
        """Begin anew with the database ``image``."""
        self.reader.close()
        for handle in (*self.handles, self._observer):
            handle.listener = _nobody
            handle.cut()
        for path in self._folder.iterdir():
            path.unlink()
        self._path.write_bytes(image)
        self.reader = sqlite3.connect(self._path, isolation_level=None)

    def close(self) -> None:
        self.reader.close()
        for handle in (*self.handles, self._observer):
            handle.cut()
        shutil.rmtree(self._folder)
