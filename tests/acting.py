"""A shop whose journeys act beyond themselves, and rows of what came of it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from runner.store.database import Database

CATALOG = """
attributes:
  points: {type: number}
events:
  Signed Up: {plan: string, seats: number}
  Trial Started: {plan: string, seats: number, ends: date}
  Left: {}
topics:
  offers: {title: Offers, opt_in: explicit}
  news: {title: News, opt_in: explicit}
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""

TEMPLATE = "---\nsubject: Hello\n---\nHello {{ contact.id }}\n"


def project(**journeys: str) -> dict[str, str]:
    """The files of journeys by name, each with a template ``hello``; names are written with _ for -."""
    files = {"journeys/catalog.yaml": CATALOG}
    for name, text in journeys.items():
        name = name.replace("_", "-")
        files[f"journeys/{name}/journey.yaml"] = f"journey: {name}\nlanguage: 1\ntitle: Example\n{text}"
        if "send:" in text:
            files[f"journeys/{name}/hello.txt"] = TEMPLATE
    return files


def rows(database: Database, *columns: Any) -> list[tuple[Any, ...]]:
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns))]
