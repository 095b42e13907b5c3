"""The campaigns by name: the world of each, its faults, and what those may lawfully do."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.chaos.kills import USERS, kill_loop
from tests.chaos.network import database_harm, harm_until, mail_harm
from tests.chaos.outcome import Outcome
from tests.chaos.postgres import PostgresServer
from tests.chaos.proxy import Harm, a_proxy
from tests.chaos.restarts import restart
from tests.chaos.sink import LATE, Manners
from tests.chaos.stops import stop_and_go
from tests.chaos.world import ENDED, Verdict, World, a_world
from tests.servers import free_port

LEASE_SECONDS = 2
CONNECTIONS = 2
"""Mail connections of a daemon: each may be handing over one message when something befalls it."""
Plan = Callable[[random.Random], Harm | None]
SQLITE, POSTGRESQL = "sqlite", "postgresql"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be done: so many faults, by this seed; ``plan`` replaces the mix of a campaign with a proxy, which
    ends after ``longest`` seconds whatever struck."""

    faults: int
    seed: int
    plan: Plan | None = None
    longest: float = 900.0


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of it: ``struck`` faults, which may have put ``lawful`` messages in doubt at the most."""

    verdict: Verdict
    struck: int
    lawful: int
    hits: Counter[str]
    errors: list[str]


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """``share``: how many faults it makes for each thousand kills that are asked for."""

    run: Callable[[_Place, Order], Found]
    databases: tuple[str, ...]
    share: int


def run_campaign(name: str, kind: str, order: Order, server: PostgresServer | None) -> Outcome:
    """Run the campaign on a database of ``kind`` until its faults struck, heal, drain, and judge. What was written is
    kept where something is wrong."""
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"journeys-chaos-{name}-"))
    found = CAMPAIGNS[name].run(_Place(folder, kind, server), order)
    trouble = list(_trouble(found))
    if trouble:
        trouble.append(f"everything that was written is in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    verdict = found.verdict
    return Outcome(
        campaign=name,
        database=kind,
        faults=found.struck,
        expected=verdict.expected,
        arrived=verdict.arrived,
        lost=len(verdict.lost),
        duplicated=len(verdict.duplicated),
        unknown=verdict.unknown,
        lawful_unknown=found.lawful,
        refused=verdict.refused,
        called_again=verdict.called_again,
        seconds=round(time.monotonic() - begun, 1),
        seed=order.seed,
        details={
            **{name: count for name, count in found.hits.items() if count},
            "unknown that arrived": verdict.unknown_arrived,
        },
        trouble=tuple(trouble),
    )


def _kills(place: _Place, order: Order) -> Found:
    with place.world() as world:
        hits = kill_loop(world, order.faults, order.seed)
        return _found(world, order.faults, order.faults * CONNECTIONS, hits)


def _stops(place: _Place, order: Order) -> Found:
    # Less than the lease: who stands still within a transaction loses its session, and its partitions to the other.
    with place.world(idle="1s") as world:
        hits = stop_and_go(world, order.faults, order.seed, LEASE_SECONDS)
        return _found(world, order.faults, order.faults * CONNECTIONS, hits)


def _restarts(place: _Place, order: Order) -> Found:
    assert place.server is not None
    with place.world() as world:
        hits = restart(world, place.server, order.faults, order.seed)
        # Both daemons lose their database at once.
        return _found(world, order.faults, order.faults * 2 * CONNECTIONS, hits)


def _database_network(place: _Place, order: Order) -> Found:
    assert place.server is not None
    chance, choose = random.Random(order.seed), order.plan or database_harm
    with (
        a_proxy(place.server.port, lambda: choose(chance)) as proxy,
        place.world(database_port=proxy.port) as world,
    ):
        hits = harm_until(world, proxy, order.faults, order.longest)
        return _found(world, proxy.struck, CONNECTIONS, hits)


def _mail_network(place: _Place, order: Order) -> Found:
    chance, choose, sink_port = random.Random(order.seed), order.plan or mail_harm, free_port()
    manners = Manners(busy=100, later=50, never=20, late=5, late_seconds=3.0, seed=order.seed)
    with (
        a_proxy(sink_port, lambda: choose(chance)) as proxy,
        place.world(smtp_port=proxy.port, sink_port=sink_port, manners=manners) as world,
    ):
        hits = harm_until(world, proxy, order.faults, order.longest)
        found = _found(world, proxy.struck, 1, hits)
        # Beside what the proxy did, a 250 that comes later than the client waits puts its message in doubt.
        late = sum(1 for line in (world.folder / "sink.log").read_text().splitlines() if line == LATE)
        found.hits[LATE] = late
        return replace(found, lawful=found.lawful + late)


CAMPAIGNS: Mapping[str, Campaign] = {
    "kills": Campaign(run=_kills, databases=(POSTGRESQL, SQLITE), share=1000),
    "stops": Campaign(run=_stops, databases=(POSTGRESQL, SQLITE), share=100),
    "restarts": Campaign(run=_restarts, databases=(POSTGRESQL,), share=50),
    "database-network": Campaign(run=_database_network, databases=(POSTGRESQL,), share=200),
    "mail-network": Campaign(run=_mail_network, databases=(POSTGRESQL, SQLITE), share=200),
}


def _found(world: World, struck: int | Counter[str], doubts: int, hits: Counter[str]) -> Found:
    """Heal, drain and judge. ``struck`` is how many faults, and ``doubts`` then how many messages they may put in
    doubt; or it is what a proxy did, which goes on during the drain, and ``doubts`` is for each of it."""
    verdict = world.finish()
    told = world.folder / "feeder.log"
    hits["errors that the feeder was told"] = len(told.read_text().splitlines()) if told.exists() else 0
    if isinstance(struck, Counter):
        hits.update({str(kind): count for kind, count in struck.items()})
        count, lawful = struck.total(), doubts * struck.total() + CONNECTIONS * hits[ENDED]
    else:
        count, lawful = struck, doubts
    return Found(verdict=verdict, struck=count, lawful=lawful, hits=hits, errors=world.errors())


def _trouble(found: Found) -> Iterator[str]:
    """What must not be, for people to read: at most ten of a kind."""
    verdict = found.verdict
    yield from (f"not settled: {name}: {count}" for name, count in verdict.stuck.items() if count)
    yield from (f"lost: {what}" for what in verdict.lost[:10])
    yield from (f"twice: {what}" for what in verdict.duplicated[:10])
    yield from verdict.strange[:10]
    yield from found.errors[:10]
    if verdict.unknown > found.lawful:
        yield f"{verdict.unknown} are unknown, where the faults explain {found.lawful}"


class _Place:
    """Where a campaign's world is to be."""

    def __init__(self, folder: Path, kind: str, server: PostgresServer | None) -> None:
        self.server = server
        self._folder = folder
        self._kind = kind

    def world(
        self,
        *,
        database_port: int | None = None,
        smtp_port: int | None = None,
        sink_port: int | None = None,
        manners: Manners | None = None,
        idle: str | None = None,
    ) -> AbstractContextManager[World]:
        urls: dict[str, str] | None = None
        if self._kind == SQLITE:
            url = f"sqlite:///{self._folder}/journeys.db"
        else:
            assert self.server is not None
            # Each process is a user of its own, so that the server can tell whose session is which.
            name = self._folder.name.replace("-", "_").lower()
            self.server.make_database(name, USERS, idle=idle)
            url = self.server.url(name)
            urls = {user: self.server.url(name, user=user, port=database_port) for user in USERS}
        return a_world(
            self._folder,
            url,
            urls,
            manners=manners,
            smtp_port=smtp_port,
            sink_port=sink_port,
            lease=f"{LEASE_SECONDS}s",
        )
