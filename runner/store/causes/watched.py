"""What the journeys in force are triggered by beyond the events that arrive: only that is watched, and told of."""

from __future__ import annotations

from dataclasses import dataclass

from runner.store.causes.existing import Existing
from runner.store.causes.segments import Kept


@dataclass(frozen=True, kw_only=True)
class Watched:
    """``attributes`` are names. ``consents`` are pairs of topic and channel, ``*`` where a trigger names no channel.
    ``journeys`` are those whose end starts another. ``existing`` are the triggers that also those enter by for whom
    they hold already."""

    attributes: tuple[str, ...] = ()
    consents: tuple[tuple[str, str], ...] = ()
    journeys: tuple[str, ...] = ()
    segments: tuple[Kept, ...] = ()
    existing: tuple[Existing, ...] = ()

    @property
    def begun(self) -> tuple[str, ...]:
        """What is to be looked at once for all contacts."""
        return (*(kept.begun for kept in self.segments), *(each.begun for each in self.existing))
