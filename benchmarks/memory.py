"""What a process keeps in memory: of ticks, with more and more runs in flight, and of an import of a longer file.

Each is measured in a process of its own, at its highest.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from benchmarks import advance, importing
from benchmarks.harness import KINDS, Figure, Limit, Scale, databases
from runner.engine.imports import import_file
from runner.journey.project import load_project
from runner.store.database import Database

LARGEST_MB = 300.0


def measure(scale: Scale) -> Iterator[Figure]:
    for kind in KINDS:
        with databases(kind) as make:
            for size in scale.of((10_000, 50_000), (10_000, 300_000), (10_000, 300_000, 1_000_000)):
                database = make()
                advance.fill(database, size)
                yield _limit("memory of ticks, all due", kind, size, _in_a_process("tick", database))
                database.close()
            with tempfile.TemporaryDirectory() as folder:
                for lines in scale.of((10_000, 50_000), (10_000, 200_000), (10_000, 1_000_000)):
                    path = importing.write_file(Path(folder), lines, lines)
                    used = _in_a_process("import", make(), str(path))
                    yield _limit("memory of an import", kind, lines, used)


def _limit(name: str, kind: str, size: int, megabytes: float) -> Limit:
    return Limit(name=name, database=kind, size=size, measured=megabytes, unit="MB", limit=LARGEST_MB)


def _in_a_process(what: str, database: Database, *arguments: str) -> float:
    """The megabytes that the process had in memory at its highest."""
    url = database.engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", what, url, *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    return float(done.stdout.split()[-1])


def main(what: str, url: str, *arguments: str) -> None:
    database = Database.open(url)
    if what == "tick":
        advance.advance_with_engine(database, advance.START + timedelta(hours=1))
    else:
        path = Path(arguments[0])
        catalog = load_project({"journeys/catalog.yaml": importing.CATALOG}).catalog
        import_file(
            database,
            catalog,
            path,
            received_at=importing.RECEIVED,
            pending=True,
            rejects=path.parent / "rejected",
            batch=importing.BATCH,
        )
    database.close()
    # Not ru_maxrss: it begins with what the parent had in memory when it made this process.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) / 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
