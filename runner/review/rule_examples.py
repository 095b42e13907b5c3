"""The examples in the docstrings of the rules, and the small project over which they are laid.

The page of the rules shows them, the tests run them, and the golden cases are laid over the same project.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from types import ModuleType

from runner.journey.project import CATALOG

JOURNEY = "journeys/demo/journey.yaml"

CATALOG_TEXT = """\
# journeys: ignore[catalog/unused] each case uses a part of it
timezone: Europe/Berlin
locale: en
attributes:
  first_name: {type: string, pii: true}
  plan: {type: string, one_of: [free, pro]}
  lifetime_value: {type: number, unit: EUR}
  renewal_date: {type: date}
  last_seen: {type: datetime}
  vip: {type: boolean}
  country: {type: string}
events:
  Signed Up: {source: string, plan: string}
  Order Completed:
    order_id: string
    revenue: number
    items: [{sku: string, price: number}]
  Trial Started: {ends: date}
topics:
  news: {title: News and offers, opt_in: explicit}
  orders: {title: Your orders, opt_in: none}
segments:
  big: {when: 'total("Order Completed", "revenue", within="365d") > 500'}
lists:
  EU: [AT, BE, DE]
channels:
  email:
    {uses: file, sender: {name: Shop, address: hello@shop.example}}
  sms: {}
pools:
  codes: {file: codes.csv}
"""

HEADER = """\
journey: demo
language: 1
title: A demonstration
topic: news
trigger: {event: Signed Up}
"""
"""What stands above the steps of a journey that begins with them."""

FURTHER = ("goals:", "policies:")
"""What a catalog begins with that is further entries of the one above."""

STEPS = """\
steps:
  - {id: hello, send: email}
"""
"""The journey of an example that has none of its own."""

TEMPLATES: Mapping[str, str] = {
    "hello.html": """\
---
subject: Hello
---
<p>Hello {{ contact.first_name }}</p>
<p><a href="https://shop.example/unsubscribe">Unsubscribe</a></p>
""",
    "hello.txt": """\
---
subject: Hello
---
Hello {{ contact.first_name }}

Unsubscribe: https://shop.example/unsubscribe
""",
    "coupon.txt": """\
---
subject: Your coupon
---
{{ run.codes }}

Unsubscribe: https://shop.example/unsubscribe
""",
    "nudge.txt": """\
---
subject: Still there?
---
Still there?

Unsubscribe: https://shop.example/unsubscribe
""",
}
"""The texts of templates, by the name of their files."""


def example_files(overlay: Mapping[str, str]) -> dict[str, str]:
    """The files of the small project with ``overlay`` (path to text) laid over them.

    A journey that begins with ``steps:`` gets the standard header, and a catalog of ``FURTHER`` entries stands below
    the standard one; without a journey there is one that sends ``hello``. The standard templates are there as far as
    the journey names them.
    """
    files = {CATALOG: CATALOG_TEXT, **overlay}
    if files[CATALOG].startswith(FURTHER):
        files[CATALOG] = CATALOG_TEXT + files[CATALOG]
    journey = files.get(JOURNEY, STEPS)
    files[JOURNEY] = HEADER + journey if journey.startswith("steps:") else journey
    for file, text in TEMPLATES.items():
        name = file.split(".")[0]
        replaced = any(path.startswith(f"journeys/demo/{name}.") and path.count(".") == 1 for path in overlay)
        if re.search(rf"\b{name}\b", files[JOURNEY]) and not replaced:
            files.setdefault(f"journeys/demo/{file}", text)
    return files


def examples(module: ModuleType, kind: str) -> list[dict[str, str]]:
    """The examples of a rule's docstring: after ``Passes:`` or ``Fails:``, files that begin with ``# path``."""
    found = []
    for block in re.findall(rf"^{kind}:\n\n((?:    .*\n|\n)+)", module.__doc__ or "", re.MULTILINE):
        parts = re.split(r"^# (journeys/\S+)\n", textwrap.dedent(block).rstrip() + "\n", flags=re.MULTILINE)
        found.append(dict(zip(parts[1::2], parts[2::2], strict=True)))
    return found
