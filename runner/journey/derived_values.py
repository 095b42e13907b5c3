"""What a template reads of a contact that is computed, not stored: its stage, its persona, its scores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runner.journey.catalog import DERIVED_FIELDS, Catalog
from runner.journey.expression import Expression
from runner.journey.fit import present
from runner.journey.template import Template
from runner.journey.template_reads import members_read
from runner.journey.values import NUMBER, Kind, ValueType


def derived_types(catalog: Catalog) -> dict[str, ValueType]:
    """Name → type of what the catalog makes of contacts. Of several scores each is a member of ``score``."""
    named = {"stage": catalog.stage, "persona": catalog.persona}
    found = {name: each.type for name, each in named.items() if each is not None}
    if len(catalog.scores) == 1:
        found["score"] = NUMBER
    elif catalog.scores:
        found["score"] = ValueType(Kind.OBJECT, fields=dict.fromkeys(catalog.scores, NUMBER))
    return found


def derived_read(catalog: Catalog, templates: Iterable[Template]) -> dict[str, Expression]:
    """The expressions of what ``templates`` read, by name: ``stage``, ``persona``, ``score.NAME``; of those that hand
    the contact on as a whole, what they have the word for."""
    texts = tuple(templates)
    read = members_read(texts, "contact")
    if read is None:
        written = "\n".join(text for template in texts for text in template.texts)
        read = frozenset(name for name in DERIVED_FIELDS if re.search(rf"[.'\"]\s*{name}\b", written))
    wanted = read & frozenset(DERIVED_FIELDS)
    named = {"stage": catalog.stage, "persona": catalog.persona}
    found = {name: each for name, each in named.items() if each is not None and name in wanted}
    if "score" in wanted:
        found |= {f"score.{name}": score.value for name, score in catalog.scores.items()}
    return found


def derived_contact(catalog: Catalog, stored: Mapping[str, Any]) -> dict[str, Any]:
    """The members of ``contact`` that ``stored`` has the values of, by the names of ``derived_read``; None for what is
    not there."""
    found: dict[str, Any] = {}
    if not (catalog.stage or catalog.persona or catalog.scores):
        return found
    for name, type in derived_types(catalog).items():
        if name != "score":
            found[name] = stored.get(name)
            continue
        scores = {
            each: None if stored.get(f"score.{each}") is None else present(stored[f"score.{each}"], NUMBER)
            for each in catalog.scores
        }
        found[name] = scores if type.kind is Kind.OBJECT else next(iter(scores.values()))
    return found
