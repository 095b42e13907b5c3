"""A stretch of seeds, played one after the other: what a process of the simulation does."""

from __future__ import annotations

import gc
import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulation.lawful import UnlawfulError
from tests.simulation.script import play
from tests.simulation.stand import Stand
from tests.simulation.world import WORLDS_A_GROUND


@dataclass(frozen=True, kw_only=True)
class Played:
    """``worlds`` worlds from seed ``first`` on, in ``worked`` seconds of one core.

    ``unlawful`` is what the next one did wrong, None where none did. ``digest`` is that of the last. ``seen`` counts
    what happened, and the worlds.
    """

    first: int
    worlds: int
    worked: float
    seen: Counter[str]
    digest: int
    unlawful: str | None = None


def stretches(first: int, end: int) -> Iterator[tuple[int, int]]:
    """The seeds from ``first`` to before ``end``, cut where the ground changes, which costs more than its worlds."""
    while first < end:
        following = min(end, (first // WORLDS_A_GROUND + 1) * WORLDS_A_GROUND)
        yield first, following
        first = following


def play_stretch(first: int, end: int, last: float) -> Played:
    """The worlds from ``first`` to before ``end``, as many as can be begun before the instant ``last``."""
    logging.disable(logging.CRITICAL)
    gc.freeze()
    worked, seed, digest = time.process_time(), first, 0
    seen: Counter[str] = Counter()
    unlawful = None
    stand = Stand()
    try:
        while seed < end and time.time() < last:
            told = play(seed, stand)
            digest = told.digest
            seen.update(told.messages)
            seen.update(
                {
                    "worlds": 1,
                    "commits": told.commits,
                    "deaths": told.deaths,
                    "mishaps": told.mishaps,
                    "entered": told.runs,
                }
            )
            seed += 1
    except UnlawfulError as error:
        unlawful = str(error)
    finally:
        stand.close()
    return Played(
        first=first,
        worlds=seed - first,
        worked=time.process_time() - worked,
        seen=seen,
        digest=digest,
        unlawful=unlawful,
    )
