"""Every valid project of this repository: what mutations begin with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import ModuleType

from documents import ROOT
from standard_project import CASES, read_overlay, standard_files
from test_check_cases import case_files, examples
from test_docs import JOURNEYS, SCENARIOS, journey_files

from runner.cli.init import project_files
from runner.review import rules

Files = dict[str, str]

SETTINGS = """# yaml-language-server: $schema=schema/journeys.schema.json
database: postgresql://journeys:${DATABASE_PASSWORD}@db.internal/journeys
base_url: https://links.shop.example
environment: staging
recipients: [growth@shop.example]
listen: 127.0.0.1:9090
channels:
  email: {uses: smtp, host: smtp.shop.example, port: 587, username: shop, password: "${SMTP_PASSWORD}"}
limits: {tick_every: 5s, connections: 8, grace: 30s}
"""
"""A ``journeys.yaml`` that says all that one can say."""


@cache
def projects() -> Mapping[str, Files]:
    """The projects by name: the good cases, the journeys of the repository, the starter of ``init``, the examples of
    the rules, and those of the pages with their scenarios."""
    found = {f"ok/{path.stem}": case_files(path) for path in sorted((CASES / "ok").iterdir())}
    for name, folder in (("journeys", ROOT), ("recorded-year", ROOT / "examples/complete-journey")):
        own = read_overlay(folder / "journeys")
        found[name] = {f"journeys/{path}": text for path, text in own.items()}
    starter = {path: data.decode() for path, data in project_files().items()}
    found["init"] = {path: text for path, text in starter.items() if path.startswith("journeys")}
    found["settings"] = standard_files({"journeys.yaml": SETTINGS})
    shop = read_overlay(CASES / "scenario" / "shop")
    found["scenario/shop"] = shop
    found["scenario/accounts"] = read_overlay(CASES / "scenario" / "accounts")
    for module in (module for module in vars(rules).values() if isinstance(module, ModuleType)):
        for number, overlay in enumerate(examples(module, "Passes")):
            found[f"rule/{module.__name__.rsplit('.', 1)[-1]}/{number}"] = standard_files(overlay)
    pages = {str(block): journey_files(block) for block in JOURNEYS}
    found |= {f"page/{place}": files for place, (_, files) in pages.items()}
    whole = {name: files for name, files in pages.values() if name != "demo"}
    for block in SCENARIOS:
        name = block.text.split("journey: ", 1)[1].split()[0]
        found[f"page/{block}"] = {**whole[name], f"journeys/{name}/tests.yaml": block.text}
    return found


def texts(suffix: str) -> tuple[str, ...]:
    """The texts of all files of the projects whose names end so, each once."""
    found = (text for files in projects().values() for path, text in files.items() if path.endswith(suffix))
    return tuple(dict.fromkeys(found))
