"""The JSON Schemas of every file that a user writes. Editors read the same files by the modeline of each."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def read_schema(name: str) -> dict[str, Any]:
    """The schema ``NAME.schema.json`` of this folder: journey, catalog, tests, template or journeys."""
    text = (files("schema") / f"{name}.schema.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
