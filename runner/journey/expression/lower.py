"""Lower case, code point by code point, from a table of our own: no database's or Python's version changes a result.

``lower.tsv`` holds Unicode 14.0's simple lower-case mappings as runs: every ``step``-th code point from ``first`` to
``last`` (hexadecimal) is ``moved`` by so many.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources


@cache
def lower_table() -> Mapping[int, int]:
    """Code point to its lower case, for all that have another one."""
    lines = resources.files(__package__).joinpath("lower.tsv").read_text(encoding="utf-8").splitlines()
    table: dict[int, int] = {}
    for line in lines[1:]:
        first, last, step, moved = line.split("\t")
        for code in range(int(first, 16), int(last, 16) + 1, int(step)):
            table[code] = code + int(moved)
    return table


def lower(text: str) -> str:
    """``text`` with each code point mapped by itself: as long as before, whatever the language."""
    return text.translate(lower_table())
