"""Which time zones there are."""

from __future__ import annotations

import zoneinfo
from functools import cache


@cache
def known_zones() -> frozenset[str]:
    """Every zone of the IANA database, in its exact spelling."""
    return frozenset(zoneinfo.available_timezones())


def known_zone(name: str) -> bool:
    """Whether ``name`` is a zone of the IANA database."""
    return name in known_zones()
