"""Worlds drawn from a number, in which processes die, databases fail and clocks jump, keep the laws of the engine.

``python -m tests.simulation`` plays as many as one likes; see ``docs/simulation.md``.
"""

from __future__ import annotations

import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.simulation.script import play
from tests.simulation.stand import Stand

SECONDS = 5.0
"""For each of the two blocks, however many worlds that is."""
AT_LEAST = 5


@pytest.fixture
def stand() -> Iterator[Stand]:
    logging.disable(logging.CRITICAL)
    stand = Stand()
    yield stand
    stand.close()
    logging.disable(logging.NOTSET)


def played(stand: Stand, first: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    began = time.monotonic()
    while seen["worlds"] < AT_LEAST or time.monotonic() - began < SECONDS:
        told = play(first + seen["worlds"], stand)
        seen.update(told.messages)
        seen.update({"worlds": 1, "deaths": told.deaths, "entered": told.runs})
    return seen


def test_known_worlds_keep_the_laws(stand: Stand) -> None:
    seen = played(stand, 421)
    assert seen["entered"]
    assert seen["deaths"]


def test_unknown_worlds_keep_the_laws(stand: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    first = random.SystemRandom().randrange(10**9)
    with capsys.disabled():
        sys.stdout.write(f" [seeds from {first}]")
    played(stand, first)


def test_a_world_is_played_the_same_again(stand: Stand) -> None:
    once = [play(seed, stand) for seed in (7, 8)]
    assert [play(seed, stand) for seed in (7, 8)] == once
