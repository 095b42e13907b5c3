"""Names of events that are nearly reserved: other capital letters, another form of the verb, a slip of the pen.

An event that nobody declares is kept and not read. A withdrawal or a complaint under such a name would be lost, so its
line is told as a bad one instead. A name that the catalog declares is the catalog's, however near it is.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from functools import lru_cache

from runner.journey.catalog import RESERVED_PROPERTIES
from runner.journey.words import LONGEST_COMPARED, nearest

NEARLY = 0.9
"""How much of two names is alike, from 0 to 1, where the one was meant by the other: `Message Bounce` is, by
`SequenceMatcher.ratio`, and `Message Deleted` is not."""


@lru_cache(maxsize=10_000)
def nearly_reserved(name: str) -> str | None:
    """The reserved event that was meant by ``name``; None where it is reserved itself, or near to none."""
    if name in RESERVED_PROPERTIES:
        return None
    as_written = " ".join(name.replace("_", " ").replace("-", " ").split())
    if len(as_written) > LONGEST_COMPARED or not (near := nearest(as_written, RESERVED_PROPERTIES)):
        return None
    alike = SequenceMatcher(None, as_written.lower(), near.lower()).ratio()
    return near if alike >= NEARLY else None
