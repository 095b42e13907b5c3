"""A stage and a daemon as health and metrics see them, for the tests of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from runner.daemon.observe.health import Seen
from runner.daemon.observe.lately import Lately
from runner.store.migrations import Standing
from runner.store.watching.vital_signs import PartitionSigns, Some, VitalSigns

NOW = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


@dataclass
class Beat:
    name: str = "tick"
    every: timedelta = timedelta(seconds=5)
    worked: bool = True
    failure: str | None = None
    failures: int = 0
    silent: timedelta = timedelta()

    def silent_for(self) -> timedelta:
        return self.silent


@dataclass
class Process:
    stages: Sequence[Beat] = field(default_factory=lambda: [Beat()])
    stopping: bool = False


def signs(**partition: datetime) -> VitalSigns:
    """What a database says in whose only partition this is due."""
    nothing: dict[str, datetime | None] = {"due": None, "event_at": None, "event_received_at": None}
    return VitalSigns(
        at=NOW,
        partitions=(PartitionSigns(partition=0, **{**nothing, **partition}),),
        ready=Some(count=0, oldest=None),
        lapsed=Some(count=0, oldest=None),
        unknown=Some(count=0, oldest=None),
        set_aside=Some(count=0, oldest=None),
    )


def seen(standing: Standing = Standing.CURRENT, **partition: datetime) -> Seen:
    return Seen(signs=signs(**partition), in_force=(("greet", 1, "live", None),), standing=standing)


def at_once(look: Callable[[], Seen], *, patience: float = 3.0) -> Lately[Seen]:
    """Looks again each time."""
    return Lately(look, fresh=0.0, patience=patience)
