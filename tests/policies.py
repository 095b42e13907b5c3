"""A small project whose sends keep policies, and scenarios of it told in few lines."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from itertools import groupby

from sqlalchemy import delete

from runner.journey.project import Project, load_project
from runner.journey.scenario_file import find_scenarios
from runner.review.outcomes import failure_text
from runner.review.scenarios import Stage, play_all
from runner.store.database import Database
from runner.store.tables import journey as in_force

CATALOG = """\
timezone: Europe/Berlin
locale: en
attributes:
  open_tickets: {type: number}
  plan: {type: string}
  country: {type: string}
  vip: {type: boolean}
events:
  Signed Up: {}
  Bought: {}
  Asked: {}
lists: {EU: [AT, BE, DE]}
topics:
  offers: {title: Offers, opt_in: explicit}
  news: {title: News, opt_in: explicit, stale_after: 30d}
  tips: {title: Tips, opt_in: [{when: contact.country in EU, is: double}, {else: soft}]}
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {sender: {name: Shop, address: hello@shop.example}}
  sms: {}
"""
TEMPLATE = "---\nsubject: A mail\n---\nText\n"
HEAD = """\
journey: {name}
language: 1
title: A journey of the tests
topic: offers
trigger: {{event: {event}}}
entry: {{reentry: always}}
"""


def journey(text: str, name: str = "demo", event: str = "Signed Up") -> str:
    """A journey that begins with ``event``; ``text`` has the steps, and perhaps more."""
    return HEAD.format(name=name, event=event) + textwrap.dedent(text)


def files_of(
    policies: str, journeys: Mapping[str, str], more: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The files of a project with these policies and journeys; each send is written by the same template."""
    catalog = CATALOG + ("policies:\n" + textwrap.indent(textwrap.dedent(policies), "  ") if policies else "")
    files = {"journeys/catalog.yaml": catalog}
    for name, text in journeys.items():
        files[f"journeys/{name}/journey.yaml"] = text
        for template in ("hello", "second", "other"):
            files[f"journeys/{name}/{template}.txt"] = TEMPLATE
    return {**files, **(more or {})}


def project_of(files: Mapping[str, str]) -> Project:
    project = load_project(files)
    errors = [problem for problem in project.problems if problem.severity == "error"]
    assert not errors, errors
    return project


def failures(
    tests: str,
    steps: str,
    *,
    policies: str = "",
    others: Mapping[str, str] | None = None,
    database: Database | None = None,
    **more: str,
) -> str:
    """What is wrong with the scenarios ``tests`` of a journey with these steps: nothing, it is hoped. They are played
    in ``database``, or on a scratch database of their own."""
    journeys = {"demo": journey(steps), **(others or {})}
    files = files_of(policies, journeys, {path.replace("__", "/"): text for path, text in more.items()})
    files["journeys/demo/tests.yaml"] = "journey: demo\ntests:\n" + textwrap.indent(
        textwrap.dedent(tests), "  "
    )
    project = project_of(files)
    scenarios, problems = find_scenarios(project)
    assert not problems, problems
    assert scenarios
    if database is None:
        outcomes = list(play_all(project, scenarios))
    else:
        outcomes = []
        for names, alike in groupby(scenarios, key=lambda one: tuple(sorted(one.journeys))):
            with database.begin() as connection:
                connection.execute(delete(in_force))  # of those before, whose files are gone
            stage = Stage(database, project, names)
            outcomes += [stage.play(one) for one in alike]
    return "\n".join(failure_text(outcome) for outcome in outcomes if not outcome.passed)
