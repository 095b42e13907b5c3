"""Texts that people read, kept as files. ``JOURNEYS_WRITE_GOLDEN=1`` writes them anew; the diff is then reviewed."""

from __future__ import annotations

import os
from pathlib import Path

CASES = Path(__file__).parent / "cases"


def golden(name: str, text: str) -> None:
    """Fail unless ``text`` is what the file ``tests/cases/NAME`` holds."""
    path = CASES / name
    if os.environ.get("JOURNEYS_WRITE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
