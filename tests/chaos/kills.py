"""``kill -9``, again and again: two daemons on one database, and the feeder, each started anew at once."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from functools import partial
from pathlib import Path

from sqlalchemy import text

from tests.chaos.world import ENDED, World, wait_for

USERS = ("daemon_a", "daemon_b", "feeder")
LONGEST_AIM = 2.5
"""Seconds that a kill waits for the moment that it is aimed at."""
SQLITE_WRITER = 120
"""The byte of the -shm file that whoever writes has locked (SQLite, "WAL-mode File Format", 2.3.1)."""


def kill_loop(world: World, kills: int, seed: int) -> Counter[str]:
    """Kill ``kills`` times at moments that ``seed`` chooses; answers what those that were killed were doing.

    A process is stopped first, looked at, and killed where it stands, so that what it was doing is known.
    A third of the kills come at any moment, a third as soon as it is in a transaction, a third as soon as messages
    are being handed over.
    """
    chance = random.Random(seed)
    hits: Counter[str] = Counter()
    for name in USERS[:2]:
        world.start_daemon(name)
    world.start_feeder()
    for _ in range(kills):
        name = chance.choice(("daemon_a", "daemon_a", "daemon_b", "daemon_b", "feeder"))
        victim = world.feeder if name == "feeder" else world.daemons[name]
        assert victim is not None
        match chance.choice(("moment", "transaction", "sending")):
            case "moment":
                time.sleep(chance.uniform(0, 1.2))
            case "transaction":
                wait_for(partial(in_transaction, world, name), LONGEST_AIM, every=0.002)
            case "sending":
                wait_for(lambda: world.sending() > 0, LONGEST_AIM, every=0.002)
        if victim.alive:
            victim.stop()
        else:
            hits[ENDED] += 1
        hits["in a transaction"] += in_transaction(world, name)
        hits["while messages were being handed over"] += name != "feeder" and world.sending() > 0
        hits["the feeder"] += name == "feeder"
        victim.kill()
        if name == "feeder":
            world.start_feeder()
        else:
            world.start_daemon(name)
    return hits


def in_transaction(world: World, name: str) -> bool:
    """Whether the process has a transaction open that may write."""
    if world.database.dialect == "postgresql":
        with world.database.read() as connection:
            found = connection.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE usename = :name AND xact_start IS NOT NULL"
                ),
                {"name": name},
            )
            return bool(found.scalar_one())
    process = world.feeder if name == "feeder" else world.daemons[name]
    assert process is not None
    return _writes_sqlite(process.pid, Path(f"{world.database.engine.url.database}-shm"))


def _writes_sqlite(pid: int, shared: Path) -> bool:
    """Whether the process holds SQLite's lock for writing, as the kernel has it (proc(5), /proc/locks)."""
    inode = f":{os.stat(shared).st_ino}" if shared.exists() else None
    for line in Path("/proc/locks").read_text().splitlines():
        parts = line.split()
        if "->" in parts or len(parts) != 8:
            continue
        kind, holder, file, begin, end = parts[3], parts[4], parts[5], parts[6], parts[7]
        writer = end == "EOF" or int(begin) <= SQLITE_WRITER <= int(end)
        if kind == "WRITE" and holder == str(pid) and inode and file.endswith(inode) and writer:
            return True
    return False
