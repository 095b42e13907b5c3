"""Connections that are slow, break, lose an answer, or hang: to PostgreSQL and to the mail server."""

from __future__ import annotations

import random
import time
from collections import Counter

from tests.chaos.proxy import COMMIT, DATA, FINAL_DOT, Harm, Kind, Proxy
from tests.chaos.world import World

LONGEST_HANG = 1.5
"""Seconds that a half-open connection hangs before it is reset, in the mixed campaigns."""


def database_harm(chance: random.Random) -> Harm | None:
    """The harm of a connection to PostgreSQL: at any byte, or at any of its next commits."""
    match chance.choice(("none", "delay", "cut", "before", "after", "after", "hang")):
        case "delay":
            return Harm(kind=Kind.DELAY, count=_bytes(chance), seconds=chance.uniform(0.001, 0.02))
        case "cut":
            return Harm(kind=Kind.CUT, count=_bytes(chance))
        case "before":
            return Harm(kind=Kind.CUT_BEFORE, mark=COMMIT, count=chance.randint(1, 30))
        case "after":
            return Harm(kind=Kind.LOSE_ANSWER, mark=COMMIT, count=chance.randint(1, 30))
        case "hang":
            return Harm(kind=Kind.HALF_OPEN, count=_bytes(chance), seconds=chance.uniform(0.05, LONGEST_HANG))
    return None


def mail_harm(chance: random.Random) -> Harm | None:
    """The harm of a connection to the mail server."""
    match chance.choice(("none", "delay", "cut", "before", "after", "hang")):
        case "delay":
            return Harm(kind=Kind.DELAY, count=_bytes(chance), seconds=chance.choice((0.01, 0.05, 3.0)))
        case "cut":
            return Harm(kind=Kind.CUT, count=_bytes(chance))
        case "before":
            return Harm(kind=Kind.CUT_BEFORE, mark=DATA, count=chance.randint(1, 5))
        case "after":
            return Harm(kind=Kind.LOSE_ANSWER, mark=FINAL_DOT, count=chance.randint(1, 5))
        case "hang":
            return Harm(kind=Kind.HALF_OPEN, count=_bytes(chance), seconds=chance.uniform(0.05, 4.0))
    return None


def harm_until(world: World, proxy: Proxy, faults: int, longest: float) -> Counter[str]:
    """Let two daemons and a feeder work until ``faults`` struck, or ``longest`` seconds are over; then heal. Answers
    what struck."""
    hits: Counter[str] = Counter()
    for name in ("daemon_a", "daemon_b"):
        world.start_daemon(name)
    world.start_feeder()
    deadline = time.monotonic() + longest
    while proxy.struck.total() < faults and time.monotonic() < deadline:
        world.revive(hits)
        world.hasten()
        time.sleep(0.2)
    proxy.heal()
    return hits


def _bytes(chance: random.Random) -> int:
    """From the first bytes of a greeting to the middle of a long life, each order of magnitude as likely."""
    return int(10 ** chance.uniform(0, 5.5))
