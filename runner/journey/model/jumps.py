"""Steps that lead somewhere else than to what stands below them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goto:
    """As a step: a jump forward to the step ``target``."""

    target: str


@dataclass(frozen=True, kw_only=True)
class Exit:
    """As a step: the end of the run, with a reason."""

    reason: str
