"""How a journey is launched: to nobody, to a few, to more and more."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from runner.journey.duration import Duration


class Delivery(StrEnum):
    """To whom the messages of a journey are handed over."""

    SHADOW = "shadow"  # to nobody: decided and recorded
    SEED = "seed"  # to the addresses of `seeds` alone, marked in the subject
    LIVE = "live"


@dataclass(frozen=True, kw_only=True)
class RampStep:
    """So many contacts, in hundredths of a percent, may enter for so long; the last step has no end."""

    share: int
    lasts: Duration | None = None
