"""What the journeys in force are triggered by beyond the events that arrive: only that is watched, and told of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Watched:
    """``attributes`` are names. ``consents`` are pairs of topic and channel, ``*`` where a trigger names no channel.
    ``journeys`` are those whose end starts another."""

    attributes: tuple[str, ...] = ()
    consents: tuple[tuple[str, str], ...] = ()
    journeys: tuple[str, ...] = ()
