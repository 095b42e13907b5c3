"""How problems speak of words: lists of them, and the word that was probably meant."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MOST_COMPARED = 40
"""Candidates that are compared letter by letter; of more, those that begin or end most like the word."""
LONGEST_COMPARED = 200
"""Characters of a word that anything can be near to."""


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant by ``word``, else None."""
    if len(word) > LONGEST_COMPARED:
        return None
    lower = word.lower()
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    compared: Iterable[str] = by_lower
    if len(by_lower) > MOST_COMPARED:
        backwards = _beside(lower[::-1], (each[::-1] for each in by_lower))
        compared = {*_beside(lower, by_lower), *(each[::-1] for each in backwards)}
    near = get_close_matches(lower, compared, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def _beside(word: str, candidates: Iterable[str]) -> list[str]:
    """Half of ``MOST_COMPARED``: those around ``word`` in a dictionary, which begin like it."""
    row = sorted(candidates)
    place = bisect(row, word)
    return row[max(0, place - MOST_COMPARED // 4) : place + MOST_COMPARED // 4]


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """``Did you mean X?`` where a candidate is near ``word``, else None."""
    near = nearest(word, candidates)
    return f"Did you mean `{near}`?" if near else None


def called_now(name: str | None) -> str | None:
    """What to say of a word that was right before something was renamed to ``name``; None where it is None."""
    return f"It is called `{name}` now." if name else None


def listed(words: Iterable[str], last: str = "or", most: int = 12) -> str:
    """``a, b or c``; of more than ``most`` words the rest is counted."""
    marked = [f"`{word}`" for word in words]
    if len(marked) > most:
        marked = [*marked[:most], f"{len(marked) - most} more"]
    if len(marked) < 2:
        return "".join(marked)
    return f"{', '.join(marked[:-1])} {last} {marked[-1]}"


def one_of(word: str, candidates: Sequence[str], now: str | None = None) -> str | None:
    """What ``word`` is called ``now``, if it was renamed; what was probably meant by it, else what there is; None where
    there is nothing."""
    if now in candidates:
        return called_now(now)
    return did_you_mean(word, candidates) or (f"It is one of {listed(candidates)}." if candidates else None)


def known(what: str, words: Iterable[str], wrong: str) -> str:
    """The hint for an unknown name: what was probably meant, else what there is."""
    names = sorted(words)
    if not names:
        return f"The catalog declares no {what}s."
    return did_you_mean(wrong, names) or f"The {what}s of the catalog: {listed(names, 'and')}."
