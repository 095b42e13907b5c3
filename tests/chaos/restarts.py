"""PostgreSQL stopped and started under load: sessions ended in order (fast), or as if it had crashed (immediate)."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial

from tests.chaos.postgres import PostgresServer
from tests.chaos.world import World, wait_for


def restart(world: World, server: PostgresServer, restarts: int, seed: int) -> Counter[str]:
    """Restart the server ``restarts`` times while two daemons and a feeder work on it; it is away up to a second."""
    chance = random.Random(seed)
    hits: Counter[str] = Counter()
    for name in ("daemon_a", "daemon_b"):
        world.start_daemon(name)
    world.start_feeder()
    for _ in range(restarts):
        # Each restart has its share of the feed before it, so that every one has something to lose.
        wait_for(partial(_fed, world, world.acknowledged + 3), 20)
        time.sleep(chance.uniform(0, 1.0))
        mode = chance.choice(("fast", "immediate"))
        hits[mode] += 1
        server.stop(mode)
        time.sleep(chance.uniform(0, 1.0))
        server.start()
        world.revive(hits)
    return hits


def _fed(world: World, batches: int) -> bool:
    return world.acknowledged >= batches
