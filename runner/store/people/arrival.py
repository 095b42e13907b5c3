"""What arrives: one event of one contact, or of nobody, before it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from runner.journey.fit import Misfit

NOBODY = ""
"""In place of a contact's key: of a broadcast, which has no contact."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """One event of one contact, its values fitted. An identify has the name ``IDENTIFIED`` and traits for
    properties, and so has what is said of an account: ``ACCOUNT_IDENTIFIED``.

    ``contact`` is the contact's key, or the account's. ``dedup_key`` says what is the same event again.
    ``rejected`` are the values that did not fit, by name, ``line`` is that of the file, from 1, ``text`` what it says,
    of a line that may yet be a bad one; these are for the importer's report and are not stored.
    """

    contact: str
    name: str
    at: datetime
    properties: Mapping[str, Any]
    undeclared: Mapping[str, Any]
    dedup_key: str
    rejected: Mapping[str, Misfit] = field(default_factory=dict)
    line: int = field(default=0, compare=False)
    text: str = field(default="", compare=False)
