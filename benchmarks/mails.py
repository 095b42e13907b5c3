"""What the delivery benchmarks deliver: an ordinary mail to each contact, and a database full of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from benchmarks.harness import analyse
from runner.engine.apply import apply_project
from runner.engine.versions import load_versions
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.types import to_microseconds

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
NOW = START + timedelta(minutes=1)

CATALOG = """
attributes:
  first_name: {type: string}
  points: {type: number}
events:
  Signed Up: {plan: string, items: [{sku: string, price: number}]}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: smtp, sender: {name: The Shop, address: hello@shop.example}}
"""
JOURNEY = """
journey: bench
language: 1
title: A mail
topic: offers
trigger: {event: Signed Up}
steps:
  - {id: hello, send: email}
  - {id: pause, wait: 1d}
"""
PARAGRAPH = (
    '<p style="margin:0 0 16px">Dear {{ contact.first_name|default("you") }}, this is a paragraph of an ordinary mail '
    'with <a href="https://shop.example/offers?from=mail&amp;n=%d">a link</a> — and a dash.</p>\n'
)
HTML = (
    "---\nsubject: Hello {{ contact.first_name }}, {{ contact.points|number }} points — yours\n"
    "preheader: Your plan is {{ trigger.plan }}\n---\n<!doctype html>\n<html><body>\n"
    + "".join(PARAGRAPH % number for number in range(18))
    + "<ul>{% for item in trigger.items %}<li>{{ item.sku|upper }}: {{ item.price|number(2) }}</li>{% endfor %}</ul>\n"
    "</body></html>\n"
)
TEXT = (
    "Dear {{ contact.first_name }},\n\n"
    + "This is a line of the text beside the HTML, for readers that show text.\n" * 12
    + "{% for item in trigger.items %}- {{ item.sku }}: {{ item.price|number(2) }}\n{% endfor %}"
)


def fill(database: Database, size: int) -> None:
    """``size`` contacts who consent, each with a message that is ready."""
    files = {
        "journeys/catalog.yaml": CATALOG,
        "journeys/bench/journey.yaml": JOURNEY,
        "journeys/bench/hello.html": HTML,
        "journeys/bench/hello.txt": TEXT,
    }
    project = load_project(files)
    assert not project.problems, project.problems
    apply_project(database, project, now=START, author="bench", git_commit=None)
    version = load_versions(database).current["bench"]
    sqlite = database.dialect == "sqlite"
    at = to_microseconds if sqlite else (lambda instant: instant)
    cast = "" if sqlite else "::jsonb"
    partitions = database.deployment.partitions
    values = [
        {
            "partition": number % partitions,
            "id": number,
            "key": f"c{number}",
            "email": f"c{number}@people.example",
            "attributes": json.dumps({"first_name": f"Ána {number}", "points": number * 1_000_000}),
            "trigger": json.dumps(
                {"plan": "pro", "items": [{"sku": f"s{item}", "price": 12_500_000} for item in range(3)]}
            ),
            "at": at(START),
            "due": at(START + timedelta(days=1)),
            "version": version.id,
        }
        for number in range(1, size + 1)
    ]
    statements = (
        "INSERT INTO contact (partition, id, key, email, attributes, tags, created_at) VALUES "
        f"(:partition, :id, :key, :email, (:attributes){cast}, ('[]'){cast}, :at)",
        "INSERT INTO consent (partition, contact, topic, channel, state, since) VALUES "
        "(:partition, :id, 'offers', '*', 'given', :at)",
        "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, step, node, arrived_at, "
        "due_at, next_at, entered_at, trigger, data) VALUES (:partition, :id, 1, 'bench', :version, '', 'event:1', "
        f"'active', 'pause', 1, :at, :due, :due, :at, (:trigger){cast}, ('{{}}'){cast})",
        "INSERT INTO message (partition, contact, run, step, visit, journey, version, channel, topic, status, "
        "let_go_at, expires_at, attempts, available_at) VALUES (:partition, :id, 1, 'hello', 1, 'bench', :version, "
        "'email', 'offers', 'ready', :at, :due, 0, :at)",
    )
    with database.begin() as connection:
        for statement in statements:
            connection.execute(text(statement.replace("::", "\\:\\:")), values)
    analyse(database)


def reset(database: Database) -> None:
    """Every message ready again."""
    with database.begin() as connection:
        connection.execute(
            text(
                "UPDATE message SET status = 'ready', attempts = 0, available_at = let_go_at, lease_until = NULL, "
                "sent_at = NULL, provider_id = NULL"
            )
        )
    analyse(database)
