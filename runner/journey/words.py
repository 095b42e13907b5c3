"""How problems speak of words: lists of them, and the word that was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant by ``word``, else None."""
    by_lower = {candidate.lower(): candidate for candidate in candidates}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str | None:
    """``Did you mean X?`` where a candidate is near ``word``, else None."""
    near = nearest(word, candidates)
    return f"Did you mean `{near}`?" if near else None


def listed(words: Iterable[str], last: str = "or", most: int = 12) -> str:
    """``a, b or c``; of more than ``most`` words the rest is counted."""
    marked = [f"`{word}`" for word in words]
    if len(marked) > most:
        marked = [*marked[:most], f"{len(marked) - most} more"]
    if len(marked) < 2:
        return "".join(marked)
    return f"{', '.join(marked[:-1])} {last} {marked[-1]}"


def known(what: str, words: Iterable[str], wrong: str) -> str:
    """The hint for an unknown name: what was probably meant, else what there is."""
    names = sorted(words)
    if not names:
        return f"The catalog declares no {what}s."
    return did_you_mean(wrong, names) or f"The {what}s of the catalog: {listed(names, 'and')}."
