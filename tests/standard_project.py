"""The project that small test cases are placed in: see ``tests/cases/standard``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

CASES = Path(__file__).parent / "cases"
STANDARD = CASES / "standard"
JOURNEY = "journeys/demo/journey.yaml"

HEADER = """journey: demo
language: 1
title: A demonstration
topic: news
trigger: {event: Signed Up}
"""


def standard_files(overlay: Mapping[str, str]) -> dict[str, str]:
    """The files of the standard project with ``overlay`` (path to text) laid over them.

    A journey that begins with ``steps:`` gets the standard header; without one there is a journey that sends
    ``hello``. The standard templates are there as far as the journey names them.
    """
    files = {
        "journeys/catalog.yaml": (STANDARD / "journeys/catalog.yaml").read_text(encoding="utf-8"),
        **overlay,
    }
    journey = files.get(JOURNEY, "steps:\n  - {id: hello, send: email}\n")
    files[JOURNEY] = HEADER + journey if journey.startswith("steps:") else journey
    for template in sorted((STANDARD / "templates").iterdir()):
        name = template.name.split(".")[0]
        replaced = any(path.startswith(f"journeys/demo/{name}.") and path.count(".") == 1 for path in overlay)
        if re.search(rf"\b{name}\b", files[JOURNEY]) and not replaced:
            files.setdefault(f"journeys/demo/{template.name}", template.read_text(encoding="utf-8"))
    return files


def read_overlay(folder: Path) -> dict[str, str]:
    """The files below ``folder``, by posix path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
