"""Worlds drawn from a number, in which processes die, databases fail and clocks jump, keep the laws of the engine.

``python -m tests.simulation`` plays as many as one likes; see ``docs/simulation.md``.
"""

from __future__ import annotations

import logging
import random
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
from drawn import DRAWN_ANEW

from tests.simulation.script import play
from tests.simulation.stand import Stand

WORLDS = 12
"""In each of the two blocks."""


@pytest.fixture
def stand() -> Iterator[Stand]:
    logging.disable(logging.CRITICAL)
    stand = Stand()
    yield stand
    stand.close()
    logging.disable(logging.NOTSET)


def played(stand: Stand, first: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    for seed in range(first, first + WORLDS):
        told = play(seed, stand)
        seen.update(told.messages)
        seen.update({"deaths": told.deaths, "entered": told.runs})
    return seen


def test_known_worlds_keep_the_laws(stand: Stand) -> None:
    seen = played(stand, 421)
    assert seen["entered"]
    assert seen["deaths"]


def test_unknown_worlds_keep_the_laws(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    first = random.SystemRandom().randrange(10**9) if DRAWN_ANEW else 155_195_291
    with capsys.disabled():
        sys.stdout.write(f" [seeds from {first}]")
    played(stand, first)


def test_a_world_is_played_the_same_again(stand: Stand) -> None:
    once = [play(seed, stand) for seed in (7, 8)]
    assert [play(seed, stand) for seed in (7, 8)] == once
