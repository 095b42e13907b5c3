"""Two worker processes beside one, with the null channel and with the sink.

Sink and server are processes of their own and want the same processors; what each takes a message is told, and with it
how many messages all processors of this machine together could carry, which no number of workers surpasses.
"""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from sqlalchemy import text

from benchmarks.drained import Null, drain, smtp_channel
from benchmarks.harness import Row, processor_seconds
from benchmarks.mails import reset
from benchmarks.sink import Sink
from channels.dkim import signer
from runner.engine.versions import load_versions
from runner.store.database import Database

ROUNDS = 5
TARGET = 1.7
NO_PORT = "0"
"""Of a worker process that hands over to the null channel."""


def two_beside_one(
    database: Database, size: int, name: str, sink: Sink | None, pem: bytes, tell: Callable[[str], object]
) -> Row:
    pairs = [
        tuple(in_processes(number, database, size, sink, pem) for number in (1, 2)) for _ in range(ROUNDS)
    ]
    one, two = (statistics.median(pair[place].per_second for pair in pairs) for place in (0, 1))
    needed = {
        who: statistics.median(getattr(pair[1], who) for pair in pairs) * 1e6
        for who in ("workers", "database", "sink")
    }
    carried = (os.cpu_count() or 1) / sum(needed.values()) * 1e6
    tell(
        f"{database.dialect}, two processes, {name}: a message takes "
        + ", ".join(f"{who} {cpu:.0f} µs" for who, cpu in needed.items())
        + f" of processors; {os.cpu_count()} carry {carried:,.0f} a second, {carried / one:.2f} times what one did"
    )
    return Row(
        name=f"two processes/one, {name}",
        database=database.dialect,
        size=size,
        per_second=two,
        floor_per_second=one,
        ratio=statistics.median(pair[1].per_second / pair[0].per_second for pair in pairs),
        target=TARGET,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Together:
    """What worker processes did together, and the seconds of processors a message that each side took."""

    per_second: float
    workers: float
    database: float
    sink: float


def in_processes(number: int, database: Database, size: int, sink: Sink | None, pem: bytes) -> Together:
    """So many worker processes together, from the word to begin to the end of the last."""
    reset(database)
    url = database.engine.url.render_as_string(hide_password=False)
    port = str(sink.port) if sink else NO_PORT
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.delivery_processes", url, port, pem.hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(number)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    of_sink, begun = sink.spent() if sink else 0.0, time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    said = [json.loads(worker.stdout.readline()) for worker in workers if worker.stdout]
    taken = time.perf_counter() - begun
    of_sink = sink.spent() - of_sink if sink else 0.0
    for worker in workers:
        assert worker.wait() == 0
        assert worker.stdout is not None
        worker.stdout.close()
    with database.read() as connection:
        sent = connection.execute(text("SELECT count(*) FROM message WHERE status = 'sent'")).scalar()
    assert sent == size == sum(each["sent"] for each in said), (sent, size, said)
    return Together(
        per_second=size / taken,
        workers=sum(each["own"] for each in said) / size,
        database=max(each["backends"] for each in said) / size,
        sink=of_sink / size,
    )


def work_when_told(url: str, port: str, key: str) -> None:
    """A worker process: it opens everything, says so, begins when its standard input ends, and says what it took."""
    database = Database.open(url.replace("postgresql+psycopg", "postgresql"))
    signers = (signer(domain="shop.example", selector="bench", pem=bytes.fromhex(key)),)
    versions = load_versions(database)
    print("ready", flush=True)
    sys.stdin.read()
    own, both = time.process_time(), processor_seconds(database)
    sent = drain(database, versions, Null if port == NO_PORT else lambda: smtp_channel(int(port), signers))
    own, both = time.process_time() - own, processor_seconds(database) - both
    print(json.dumps({"sent": sent, "own": own, "backends": max(0.0, both - own)}), flush=True)
    database.close()


if __name__ == "__main__":
    work_when_told(*sys.argv[1:])
