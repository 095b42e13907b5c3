"""SIGSTOP and SIGCONT: processes that stand still for a while, wherever they are, and then go on as if nothing were."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import partial

from tests.chaos.kills import LONGEST_AIM, in_transaction
from tests.chaos.world import World, wait_for

LEASES = 2.5
"""The longest stop, in leases."""


def stop_and_go(world: World, stops: int, seed: int, lease_seconds: float) -> Counter[str]:
    """Stop one of two daemons ``stops`` times at moments that ``seed`` chooses: while it is in a transaction (or the
    server is sending it results), while messages are being handed over, or at any moment; for an instant, or past the
    lease of its messages, while the other goes on."""
    chance = random.Random(seed)
    hits: Counter[str] = Counter()
    for name in ("daemon_a", "daemon_b"):
        world.start_daemon(name)
    world.start_feeder()
    for _ in range(stops):
        name = chance.choice(("daemon_a", "daemon_b"))
        match chance.choice(("moment", "transaction", "sending")):
            case "moment":
                time.sleep(chance.uniform(0, 1.0))
            case "transaction":
                wait_for(partial(in_transaction, world, name), LONGEST_AIM, every=0.002)
            case "sending":
                wait_for(lambda: world.sending() > 0, LONGEST_AIM, every=0.002)
        world.revive(hits)
        victim = world.daemons[name]
        victim.stop()
        hits["in a transaction"] += in_transaction(world, name)
        hits["while messages were being handed over"] += world.sending() > 0
        seconds = chance.choice((0.1, lease_seconds / 2, lease_seconds * LEASES))
        hits["past the lease"] += seconds > lease_seconds
        time.sleep(seconds)
        victim.go_on()
    return hits
