"""What a campaign found, as a row of the table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One campaign on one database.

    ``faults`` struck; ``lawful_unknown`` is how many messages they may have put in doubt. ``details`` count what the
    faults hit; ``trouble`` names, for people, what must not be.
    """

    campaign: str
    database: str
    faults: int
    expected: int
    arrived: int
    lost: int
    duplicated: int
    unknown: int
    lawful_unknown: int
    refused: int
    called_again: int
    seconds: float
    seed: int
    details: Mapping[str, int] = field(default_factory=dict)
    trouble: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not self.trouble and not self.lost and not self.duplicated
