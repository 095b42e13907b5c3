"""Which time zones there are."""

from __future__ import annotations

import zoneinfo
from functools import cache

_NOWHERE = frozenset({"Factory", "localtime", "posixrules"})
"""What zone files are called that are the clock of no place: of a machine that nobody has set up, of this machine, and
of rules without a place. ``localtime`` would be another time on every machine."""


@cache
def known_zones() -> frozenset[str]:
    """Every zone of the IANA database that is a place's, or an offset, in its exact spelling."""
    return frozenset(zoneinfo.available_timezones()) - _NOWHERE


def known_zone(name: str) -> bool:
    """Whether ``name`` is a zone of the IANA database."""
    return name in known_zones()
