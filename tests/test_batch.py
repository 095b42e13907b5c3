"""How many messages a worker claims together."""

from __future__ import annotations

from runner.daemon.batch import FRESH, MOST, Batch


def test_a_fast_channel_is_given_many() -> None:
    batch = Batch()
    for _ in range(10):
        batch.took(batch.size, batch.size * 0.001)
    assert batch.size == MOST


def test_a_slow_channel_is_given_as_many_as_leave_while_the_look_at_consent_is_fresh() -> None:
    batch = Batch(size=MOST)
    for _ in range(3):
        batch.took(batch.size, batch.size * 1.5)
    assert batch.size * 1.5 <= FRESH
    batch.took(batch.size, 60.0 * batch.size)
    assert batch.size == 1


def test_a_batch_that_was_not_full_says_nothing_of_larger_ones() -> None:
    batch = Batch()
    batch.took(1, 0.001)
    assert batch == Batch()
