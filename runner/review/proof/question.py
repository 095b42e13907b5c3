"""The questions that are asked about conditions, and who answers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runner.journey.expression.tree import Node
from runner.review.proof import intervals
from runner.review.proof.encode import MOST_CLAIMS, Encoder
from runner.review.proof.facts import lemmas, read
from runner.review.proof.formula import Formula, both, extent

Reasoner = Callable[[Formula], bool]
"""Answers False where a formula surely holds for nobody, else True."""


class Prover:
    """Answers questions by ``possible``, each once. One that is too large, or too deep, has the answer that proves
    nothing."""

    def __init__(self, possible: Reasoner = intervals.possible) -> None:
        self._possible = possible
        self._encoder = Encoder()
        self._answers: dict[tuple[tuple[Node, ...], tuple[Node, ...]], bool] = {}

    def can_be_true(
        self, condition: Node, given_untrue: Sequence[Node] = (), *, given: Sequence[Node] = ()
    ) -> bool:
        """False where ``condition`` is true for nobody of whom all of ``given_untrue`` are not true, and all of
        ``given`` are."""
        return self._asked((condition, *given), tuple(given_untrue))

    def can_be_untrue(self, condition: Node, *, given: Sequence[Node] = ()) -> bool:
        """False where ``condition`` is true for everybody of whom all of ``given`` are: neither false nor missing."""
        return self._asked(tuple(given), (condition,))

    def can_all_be_untrue(self, conditions: Sequence[Node], *, given: Sequence[Node] = ()) -> bool:
        """False where everybody of whom all of ``given`` are true fulfils one of ``conditions``."""
        return self._asked(tuple(given), tuple(conditions))

    def _asked(self, true: tuple[Node, ...], untrue: tuple[Node, ...]) -> bool:
        found = self._answers.get((true, untrue))
        if found is None:
            found = self._answers[true, untrue] = self._answer(true, untrue)
        return found

    def _answer(self, true: tuple[Node, ...], untrue: tuple[Node, ...]) -> bool:
        try:
            formula = self.formula(true, untrue)
            return extent(formula) > MOST_CLAIMS or self._possible(formula)
        except RecursionError:
            return True

    def formula(self, true: Sequence[Node], untrue: Sequence[Node]) -> Formula:
        """That all of ``true`` are true and none of ``untrue``, with what is known of what they read."""
        asked = both(
            (
                *(self._encoder.untrue(node) for node in untrue),
                *(self._encoder.true(node) for node in true),
            )
        )
        return both((asked, *lemmas(read(asked))))
