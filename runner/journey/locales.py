"""Which locales stand in for one another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache


def locales(wanted: str | None, default: str) -> Iterator[str | None]:
    """The locales to look for, best first: ``pt-BR``, ``pt``, the default, its language, none."""
    for locale in (wanted, default):
        parts = re.split(r"[-_]", locale) if locale else []
        for length in range(len(parts), 0, -1):
            yield "-".join(parts[:length])
    yield None


def same(one: str | None, other: str | None) -> bool:
    """Whether two locales are one: case does not count, and ``_`` is ``-``."""
    return plain(one) == plain(other)


@lru_cache(maxsize=1024)
def plain(locale: str | None) -> str:
    """The spelling by which locales are compared; none is the empty text."""
    return (locale or "").replace("_", "-").lower()


_NAMES = "apc ar bal bgn ckb dv fa he ks lrc mzn nqo ps rhg sd sdh skr syr trw ug ur yi"
_FROM_THE_RIGHT = frozenset(_NAMES.split())
"""Languages whose usual script runs from right to left, by the CLDR."""
_SCRIPTS_FROM_THE_RIGHT = frozenset(("adlm", "arab", "hebr", "nkoo", "rohg", "syrc", "thaa"))


def direction(locale: str) -> str:
    """``ltr`` or ``rtl``: how the script of a locale runs."""
    language, *more = plain(locale).split("-")
    script = next((part for part in more if len(part) == 4 and part.isalpha()), None)
    from_the_right = language in _FROM_THE_RIGHT if script is None else script in _SCRIPTS_FROM_THE_RIGHT
    return "rtl" if from_the_right else "ltr"
