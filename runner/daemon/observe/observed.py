"""A daemon that others can look at: over HTTP where it is to listen, and by systemd where that asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from runner.clock import utc_now
from runner.daemon.observe.endpoint import listening, pages
from runner.daemon.observe.health import Delivering, Health, Living, look
from runner.daemon.observe.lately import Lately
from runner.daemon.observe.metrics import Metrics, counted_messages
from runner.daemon.observe.systemd import telling_systemd
from runner.store.database import Database


@contextmanager
def observed(
    daemon: Living,
    database: Database,
    metrics: Metrics,
    listen: str | None,
    environ: Mapping[str, str],
    workers: Delivering | None = None,
) -> Iterator[None]:
    """As long as the block lasts, ``daemon`` can be asked at ``listen`` (None: nowhere), and systemd is told of it.
    ``workers`` deliver for it, None where it does so itself.

    Raises JourneysError where it cannot listen there.
    """
    seen = Lately(lambda: look(database, utc_now))
    metrics.watch(daemon, seen, counted_messages(database), workers)
    health = Health(daemon, seen, workers=workers)
    with ExitStack() as stack:
        if listen:
            stack.enter_context(listening(listen, pages(metrics, health)))
        stack.enter_context(telling_systemd(health, environ))
        yield
