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
