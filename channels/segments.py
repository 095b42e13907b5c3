"""How many segments an SMS takes: what providers bill, and what tears where one is lost.

A text all of whose characters stand in the GSM 7 bit default alphabet (3GPP TS 23.038, 6.2.1) or its extension table
(6.2.1.1, two septets each) goes in septets, 160 in one segment; any other goes in UTF-16 (the UCS-2 of that standard,
6.2.3), 70 units in one. Where one does not hold it, each gives six octets to the header that joins them (3GPP TS
23.040, 9.2.3.24.1): 153 septets or 67 units are left. What takes two places, an extended character or a surrogate
pair, is never torn. National shift tables (TS 23.038, annex A) are not used: few networks carry them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
"""The default alphabet, in the order of its table (TS 23.038, 6.2.1), but for the escape to the extension table."""
EXTENDED = frozenset("\f^{}\\[~]|€")
"""The extension table (TS 23.038, 6.2.1.1): each takes the escape as well."""


class Alphabet(StrEnum):
    """How a text is written on the air."""

    GSM = "gsm-7"
    UCS2 = "ucs-2"


_SINGLE = {Alphabet.GSM: 160, Alphabet.UCS2: 70}
"""Places of a message that one segment holds: septets, or units of 16 bits."""
_JOINED = {Alphabet.GSM: 153, Alphabet.UCS2: 67}
"""Places of each segment where there are several."""


@dataclass(frozen=True, kw_only=True)
class Segments:
    """A text cut into the segments that carry it: ``parts``, which joined are the text. ``places`` is what it takes of
    them in all: septets in ``gsm-7``, units of 16 bits in ``ucs-2``."""

    alphabet: Alphabet
    places: int
    parts: Sequence[str]

    @property
    def count(self) -> int:
        """How many segments are billed; a text of nothing is one."""
        return len(self.parts)


def segments(text: str) -> Segments:
    """The segments of an SMS that says ``text``."""
    alphabet = Alphabet.UCS2 if outside(text) else Alphabet.GSM
    taken = [_places(character, alphabet) for character in text]
    places = sum(taken)
    if places <= _SINGLE[alphabet]:
        return Segments(alphabet=alphabet, places=places, parts=(text,))
    parts: list[str] = []
    start = filled = 0
    for index, width in enumerate(taken):
        if filled + width > _JOINED[alphabet]:
            parts.append(text[start:index])
            start, filled = index, 0
        filled += width
    parts.append(text[start:])
    return Segments(alphabet=alphabet, places=places, parts=tuple(parts))


def outside(text: str) -> frozenset[str]:
    """The characters for whose sake the whole text goes in UTF-16; empty where it goes in septets."""
    return frozenset(text) - BASIC - EXTENDED


def _places(character: str, alphabet: Alphabet) -> int:
    if alphabet is Alphabet.GSM:
        return 2 if character in EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1
