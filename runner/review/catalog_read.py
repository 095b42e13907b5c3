"""What has changed of the catalog that a journey speaks of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from runner.journey.project import CATALOG, Project
from runner.journey.yaml import Fields, Value
from runner.review.altered import Altered, altered, inline

WHOLE = ("timezone", "locale", "policies", "stages")
"""Sections that are read as wholes."""
_OF_ALL = frozenset({"timezone", "locale", "policies"})
"""What every journey reads."""
_ASKING = frozenset({"segments", "scores", "stages"})
"""What is made of expressions: who speaks of it speaks of what these ask for."""
_SPOKEN: Mapping[str, str] = {
    "attributes": r"\bcontact\.{0}\b|\bset\b.*\b{0}\b",
    "accounts": r"\baccount\.{0}\b",
    "scores": r"\bscores?\b",
    "stages": r"\bcontact\.stage\b",
    "channels": r"(?<![\w-]){0}(?![\w-])",
    "events": r"(?<![\w-]){0}(?![\w-])",
    "topics": r"(?<![\w-]){0}(?![\w-])",
    "segments": r"(?<![\w-]){0}(?![\w-])|\bcontact\.persona\b",
    "lists": r"(?<![\w-]){0}(?![\w-])",
    "hours": r"(?<![\w-]){0}(?![\w-])",
    "pools": r"(?<![\w-]){0}(?![\w-])",
}
"""By section, how somebody speaks of one of its entries."""

_WITHOUT_NAME = {"scores": "score", "segments": "persona"}
"""What is spoken of together with others, by another word than its name."""

Entry = tuple[str, str]
"""A section, and a name in it; no name for a section that is read as a whole."""


def catalog_changes(
    journey: str, before: Project, after: Project, *, whole: bool = False
) -> Iterator[tuple[str, tuple[Altered, ...]]]:
    """Each entry that differs and that the files of ``journey`` speak of, perhaps by way of others, by its name:
    ``segments vip``. With ``whole``, whatever differs."""
    old, new = (_entries(project.trees.get(CATALOG)) for project in (before, after))
    changes = {
        each: values
        for each in dict.fromkeys((*new, *old))
        if (values := tuple(altered(old.get(each), new.get(each), key=each[0])))
    }
    if not changes:
        return
    files = (
        text
        for project in (before, after)
        for path, text in project.bundle(journey).items()
        if path != CATALOG
    )
    spoken = _spoken_of(
        "\n".join(files),
        {
            each: [*_said(old, each), *_said(new, each)]
            for each in {**old, **new}
            if each in changes or each[0] in _ASKING
        },
    )
    for (section, name), values in changes.items():
        if whole or (section, name) in spoken:
            yield f"{section} {name}".strip(), values


def _entries(catalog: Value | None) -> Mapping[Entry, Value]:
    found: dict[Entry, Value] = {}
    for section in catalog.fields if isinstance(catalog, Fields) else ():
        if section.key in WHOLE:
            found[section.key, ""] = section.value
        elif section.key in _SPOKEN and isinstance(section.value, Fields):
            found |= {(section.key, each.key): each.value for each in section.value.fields}
    return found


def _said(entries: Mapping[Entry, Value], entry: Entry) -> Iterator[str]:
    if entry in entries:
        yield inline(entries[entry])


def _spoken_of(text: str, entries: Mapping[Entry, list[str]]) -> set[Entry]:
    """The entries of which ``text`` speaks, and those that these ask for."""
    found: set[Entry] = set()
    texts = [text]
    while texts:
        read = "\n".join(texts)
        texts = []
        for entry, said in entries.items():
            section, name = entry
            if entry in found or not _speaks(read, section, name):
                continue
            found.add(entry)
            texts += said if section in _ASKING else []
    return found


def _speaks(text: str, section: str, name: str) -> bool:
    if section in _OF_ALL:
        return True
    # Looking for a word is much quicker than for a pattern, and most entries are spoken of nowhere.
    if name not in text and _WITHOUT_NAME.get(section, name) not in text:
        return False
    return re.search(_SPOKEN[section].format(re.escape(name)), text) is not None
