"""``kill -9`` of daemons and feeder at random moments, and SIGTERM: every message arrives once."""

from __future__ import annotations

from pathlib import Path

from runner.clock import utc_now
from tests.chaos import project
from tests.chaos.campaigns import SQLITE, Order, run_campaign
from tests.chaos.world import a_world, wait_for

SEED = 20_261_121


def test_twenty_kills_lose_nothing_and_repeat_nothing() -> None:
    outcome = run_campaign("kills", SQLITE, Order(faults=20, seed=SEED), None)
    assert outcome.trouble == ()
    assert outcome.good
    assert outcome.expected > 0


def test_sigterm_finishes_and_exits_0_and_the_rest_goes_on_later(tmp_path: Path) -> None:
    with a_world(tmp_path, f"sqlite:///{tmp_path}/journeys.db") as world:
        catalog = project.load_project(project.FILES).catalog
        for number in range(20):
            now = utc_now()
            project.store(world.database, *project.batch(catalog, number, now), now)
        daemon = world.start_daemon("daemon_a")
        assert wait_for(lambda: world.sending() > 0)
        assert daemon.terminate() == 0
        ledger = world.ledger()
        assert set(ledger.values()) <= {"sent", "ready"}
        assert "ready" in ledger.values()
        arrived = [arrival.what for arrival in world.arrivals()]
        assert sorted(arrived) == sorted(what for what, status in ledger.items() if status == "sent")
