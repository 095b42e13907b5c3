"""What the journeys in force are triggered by beyond the events that arrive: only that is watched, and told of."""

from __future__ import annotations

from dataclasses import dataclass

from runner.store.causes.existing import Existing
from runner.store.causes.segments import Kept
from runner.store.causes.stale import Stale


@dataclass(frozen=True, kw_only=True)
class Watched:
    """``attributes`` are names. ``consents`` are pairs of topic and channel, ``*`` where a trigger names no channel.
    ``journeys`` are those whose end starts another. ``existing`` are the triggers that also those enter by for whom
    they hold already; ``stale`` are the consents whose age is watched."""

    attributes: tuple[str, ...] = ()
    consents: tuple[tuple[str, str], ...] = ()
    journeys: tuple[str, ...] = ()
    segments: tuple[Kept, ...] = ()
    existing: tuple[Existing, ...] = ()
    stale: tuple[Stale, ...] = ()

    @property
    def begun(self) -> tuple[str, ...]:
        """What is to be looked at once for all contacts."""
        return (
            *(each.begun for each in self.segments),
            *(each.begun for each in self.existing),
            *(each.begun for each in self.stale),
        )

    def enters_existing(self, kept: Kept) -> bool:
        """Whether a journey is entered by those who are in the segment already."""
        return any(("segment", kept.name) in each.properties for each in self.existing)

    @property
    def keeps_state(self) -> bool:
        """Whether something is kept that history may change beside the timeline."""
        return bool(self.segments or self.stale)
