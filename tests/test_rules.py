"""What happens when, rule by rule: each scenario would come out otherwise under the other reading of its rule.

``tests/rules.py`` lists every rule of the language's order of things with the tests that hold the engine to it; here
are those that no test of one feature holds, on both databases.
"""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from plays import holds
from policy_scenarios import SCENARIOS as POLICIES
from rules import RULES
from shop import FILES, START, Shop
from sqlalchemy import select
from test_waits import RULES as WAITS

from runner.engine.apply import apply_project
from runner.engine.tick import EXACT
from runner.engine.versions import load_versions
from runner.journey.project import load_project
from runner.review.backtest import recordings, replay
from runner.store.database import Database
from runner.store.people.events import store_events
from runner.store.tables import contact, membership, run

CATALOG = """
timezone: Europe/Berlin
attributes:
  plan: {type: string}
  ends: {type: date}
events:
  Started: {n: number, k: string}
  Ordered: {n: number, k: string}
  Told: {}
topics:
  offers: {title: Offers, opt_in: explicit}
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
policies:
  quiet_hours: {from: "21:00", to: "08:00"}
"""
TEMPLATE = "---\nsubject: Hello\n---\nHello\n"

SCENARIOS: dict[str, tuple[str, str, dict[str, str]]] = {}
"""Rule → a journey, its scenarios, and other journeys by name."""


def rule(name: str, journey: str, tests: str, **others: str) -> None:
    texts = {other: textwrap.dedent(text) for other, text in others.items()}
    SCENARIOS[name] = (textwrap.dedent(journey), textwrap.dedent(tests), texts)


# The order in which an event is looked at --------------------------------------------------------------------------

rule(
    "the contact before the goal",
    """
    trigger: {event: Started}
    goal: {event: Consent Granted, where: 'consented("offers", "email")', within: 1d, then: exit}
    steps:
      - {id: hello, send: {channel: email, topic: receipts}}
      - {id: stay, wait: 9d}
    """,
    """
    - name: the consent that the goal asks about is the one that arrives
      contact: {}
      events: [{at: 0m, event: Started}, {at: 1h, consent: offers, change: given}]
      expect: [{at: 0m, send: hello}, {at: 1h, exit: goal}]
    """,
)
rule(
    "the goal before exits, exits before waits",
    """
    trigger: {event: Started}
    goal: {event: Ordered, where: event.k == "goal", within: 1d, then: exit}
    exit: [{event: Ordered, where: event.n > 1, reason: bought}]
    steps:
      - {id: hello, send: email}
      - {id: order, wait: {event: Ordered, up_to: 9d, then: [{id: woken, exit: woken}]}}
    """,
    """
    - name: goal, exit and wait
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered, n: 2, k: goal}]
      expect: [{at: 0m, send: hello}, {at: 1h, exit: goal}]
    - name: exit and wait
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered, n: 2}]
      expect: [{at: 0m, send: hello}, {at: 1h, exit: bought}]
    - name: the wait alone
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered, n: 1}]
      expect: [{at: 0m, send: hello}, {at: 1h, exit: woken}]
    """,
)
rule(
    "waits before triggers",
    """
    trigger: {event: Ordered}
    entry: {again: refresh, reentry: always}
    steps:
      - {id: same, wait: {event: Ordered, where: event.n == trigger.n, up_to: 1d, then: [{id: same-again, exit: same}]}}
      - {id: other, exit: other}
    """,
    """
    - name: the wait compares with what started the run, not with what it is refreshed with
      events: [{at: 0m, event: Ordered, n: 1}, {at: 1h, event: Ordered, n: 2}]
      expect: [{at: 1d, exit: other}]
    - name: and after that with the refreshed
      events: [{at: 0m, event: Ordered, n: 1}, {at: 1h, event: Ordered, n: 2}, {at: 2h, event: Ordered, n: 2}]
      expect: [{at: 2h, exit: same}]
    """,
)
rule(
    "one event ends a run and starts the next",
    """
    trigger: {event: Ordered}
    entry: {again: ignore, reentry: always}
    exit: [{event: Ordered, where: event.n == 2, reason: over}]
    steps:
      - {id: stay, wait: 1d}
      - {id: stayed, exit: stayed}
    """,
    """
    - name: the next begins with the event that ended the first, and is not ended by it
      events: [{at: 0m, event: Ordered, n: 1}, {at: 1h, event: Ordered, n: 2}]
      expect: [{at: 1h, exit: over}, {at: 25h, exit: stayed}]
    """,
)
rule(
    "a timer fires before the event of its instant",
    """
    trigger: {event: Started}
    exit: [{event: Ordered, reason: bought}]
    steps:
      - {id: pause, wait: 1d}
      - {id: seen, condition: {if: 'did("Ordered")', else: [{id: unseen, exit: unseen}]}}
    """,
    """
    - name: the run is over before the event, and did not see it
      events: [{at: 0m, event: Started}, {at: 1d, event: Ordered}]
      expect: [{at: 1d, exit: unseen}]
    - name: a second before, the event is first
      events: [{at: 0m, event: Started}, {at: 23h59m59s, event: Ordered}]
      expect: [{at: 23h59m59s, exit: bought}]
    """,
)
rule(
    "events of one instant go by arrival",
    """
    trigger: {event: Started}
    exit: [{event: Told, reason: told}]
    steps:
      - {id: stay, wait: 1d}
    """,
    """
    - name: told, then started
      events: [{at: 0m, event: Told}, {at: 0m, event: Started}]
      expect: [{at: 1d, completed: true}]
    - name: started, then told
      events: [{at: 0m, event: Started}, {at: 0m, event: Told}]
      expect: [{at: 0m, exit: told}]
    """,
)

# Entering ----------------------------------------------------------------------------------------------------------

rule(
    "reentry from exactly so long after the last entry, of the contact and value",
    """
    trigger: {event: Started}
    entry: {per: trigger.k, reentry: 30d}
    steps:
      - {id: long, wait: 9d}
      - {id: end, exit: end}
    """,
    """
    - name: a second too early
      events: [{at: 0m, event: Started, k: a}, {at: 719h59m59s, event: Started, k: a}]
      expect: [{at: 2026-03-10T10:00:00+01:00, exit: end}]
    - name: at that instant, counted from the entry and in days of 24 hours though the clocks have changed
      events: [{at: 0m, event: Started, k: a}, {at: 720h, event: Started, k: a}]
      expect: [{at: 2026-03-10T10:00:00+01:00, exit: end}, {at: 2026-04-09T11:00:00+02:00, exit: end}]
    - name: each value for itself
      events: [{at: 0m, event: Started, k: a}, {at: 1h, event: Started, k: b}]
      expect: [{at: 2026-03-10T10:00:00+01:00, exit: end}, {at: 2026-03-10T11:00:00+01:00, exit: end}]
    """,
)
rule(
    "never again unless said, and a missing value counts as one",
    """
    trigger: {event: Started}
    entry: {per: trigger.k}
    steps:
      - {id: end, exit: end}
    """,
    """
    - name: once for a, once for none
      events:
        - {at: 0m, event: Started, k: a}
        - {at: 1h, event: Started, k: a}
        - {at: 2h, event: Started}
        - {at: 3h, event: Started}
        - {at: 400d, event: Started}
      expect: [{at: 0m, exit: end}, {at: 2h, exit: end}]
    """,
)

# Messages ----------------------------------------------------------------------------------------------------------

rule(
    "sent is true from when policy lets the message go",
    """
    trigger: {event: Started}
    exit: [{when: 'sent("hello")', reason: told}]
    steps:
      - {id: hello, send: email}
      - {id: stay, wait: 9d}
    """,
    """
    - name: not in the night
      start: 2026-03-01T22:00:00+01:00
      events: [{at: 0m, event: Started}, {at: 1h, event: Told}]
      expect: [{at: 10h, send: hello}, {at: 10h, exit: told}]
    """,
)
rule(
    "a message that is not handed over within a day is blocked as expired",
    """
    trigger: {event: Started}
    steps:
      - {id: hello, send: {channel: email, window: {from: "09:59", to: "10:30", days: [mon]}}}
      - {id: why, branch: [{when: run.blocked == "expired", name: late, steps: [{id: late, exit: late}]}, {else: []}]}
    """,
    """
    - name: from Saturday it would be two days
      start: 2026-02-28T10:00:00+01:00
      events: [{at: 0m, event: Started}]
      expect: [{at: 24h, send: hello, blocked: expired}, {at: 24h, exit: late}]
    - name: from Sunday it is one, to the minute
      events: [{at: 0m, event: Started}]
      expect: [{at: 2026-03-02T09:59:00+01:00, send: hello}, {at: 2026-03-02T09:59:00+01:00, completed: true}]
    """,
)

# The goal ----------------------------------------------------------------------------------------------------------

GOAL = """
    trigger: {event: Started}
    holdout: 10%
    goal: {event: Ordered, within: 1d, then: exit}
    steps:
      - {id: pause, wait: 2h}
      - {id: hello, send: {channel: email, topic: receipts}}
      - {id: stay, wait: 9d}
      - {id: end, exit: end}
"""
rule(
    "a goal is counted within its window after a message that was let go",
    GOAL,
    """
    - name: before any message there is no window
      given: {holdout: false}
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered}]
      expect: [{at: 2h, send: hello}, {at: 2026-03-10T12:00:00+01:00, exit: end}]
    - name: at its very end
      given: {holdout: false}
      events: [{at: 0m, event: Started}, {at: 26h, event: Ordered}]
      expect: [{at: 2h, send: hello}, {at: 26h, exit: goal}]
    - name: a second later
      given: {holdout: false}
      events: [{at: 0m, event: Started}, {at: 26h1s, event: Ordered}]
      expect: [{at: 2h, send: hello}, {at: 2026-03-10T12:00:00+01:00, exit: end}]
    - name: a message that is withheld opens it too
      given: {holdout: true}
      events: [{at: 0m, event: Started}, {at: 3h, event: Ordered}]
      expect: [{at: 2h, send: hello, withheld: held_out}, {at: 3h, exit: goal}]
    - name: and who is held out has had no earlier window either
      given: {holdout: true}
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered}]
      expect: [{at: 2h, send: hello, withheld: held_out}, {at: 2026-03-10T12:00:00+01:00, exit: end}]
    """,
)
rule(
    "a message that was blocked opens no window",
    GOAL.replace("receipts", "offers"),
    """
    - name: without consent
      contact: {}
      given: {holdout: false}
      events: [{at: 0m, event: Started}, {at: 3h, event: Ordered}]
      expect: [{at: 2h, send: hello, blocked: no_consent}, {at: 2026-03-10T12:00:00+01:00, exit: end}]
    """,
)
rule(
    "a goal ends the run only where that is said",
    GOAL.replace(", then: exit", ""),
    """
    - name: it goes on
      given: {holdout: false}
      events: [{at: 0m, event: Started}, {at: 3h, event: Ordered}]
      expect: [{at: 2h, send: hello}, {at: 2026-03-10T12:00:00+01:00, exit: end}]
    """,
)

# Values ------------------------------------------------------------------------------------------------------------

rule(
    "values are read at internal events too",
    """
    trigger: {event: Started}
    exit: [{when: 'clicked("hello")', reason: clicked}]
    steps:
      - {id: hello, send: email}
      - {id: look, wait: {when: 'opened("hello")', up_to: 9d, then: [{id: opened, wait: 9d}]}}
      - {id: end, exit: end}
    """,
    """
    - name: an open wakes the wait, a click ends the run
      events: [{at: 0m, event: Started}, {at: 1h, opened: hello}, {at: 2h, clicked: hello}]
      expect: [{at: 0m, send: hello}, {at: 2h, exit: clicked}]
    - name: nine days from the open
      events: [{at: 0m, event: Started}, {at: 1h, opened: hello}]
      expect: [{at: 0m, send: hello}, {at: 2026-03-10T11:00:00+01:00, exit: end}]
    """,
)
rule(
    "exits are read when time alone turns them",
    """
    trigger: {event: Started}
    exit:
      - {when: 'days_since("Ordered") >= 2', reason: quiet}
      - {when: 'did("Told") and not did("Told", within="90m")', reason: forgotten}
    steps:
      - {id: stay, wait: 9d}
    """,
    """
    - name: to the second, with no event near
      events: [{at: 0m, event: Started}, {at: 61m7s, event: Ordered}]
      expect: [{at: 2941m7s, exit: quiet}]
    - name: an event leaves its window at the end of it
      events: [{at: 0m, event: Started}, {at: 7s, event: Told}]
      expect: [{at: 90m7s, exit: forgotten}]
    """,
)
rule(
    "exits are read before each step",
    """
    trigger: {event: Started}
    exit: [{when: contact.plan == "pro", reason: pro}]
    steps:
      - {id: upgrade, update: {set: {plan: pro}}}
      - {id: hello, send: email}
    """,
    """
    - name: between two steps of one instant
      events: [{at: 0m, event: Started}]
      expect: [{at: 0m, exit: pro}, {never: hello}]
    """,
)
rule(
    "a wait for a date follows it by whatever means it changes",
    """
    trigger: {event: Started}
    steps:
      - {id: day, wait: {until: contact.ends, if_missing: wait}}
      - {id: end, exit: end}
    """,
    """
    - name: an update of another journey
      contact: {ends: 2026-03-20}
      with: [moves]
      events: [{at: 0m, event: Started}, {at: 1h, event: Told}]
      expect: [{at: 2026-03-05T00:00:00+01:00, exit: end}]
    - name: an identify
      contact: {ends: 2026-03-20}
      events: [{at: 0m, event: Started}, {at: 1h, identify: {ends: 2026-03-06}}]
      expect: [{at: 2026-03-06T00:00:00+01:00, exit: end}]
    """,
    moves="""
    trigger: {event: Told}
    steps:
      - {id: move, update: {set: {ends: 2026-03-05}}}
    """,
)


def project_files(journey: str, others: dict[str, str]) -> dict[str, str]:
    files = {"journeys/catalog.yaml": CATALOG}
    for name, text in {"demo": journey, **others}.items():
        head = f"journey: {name}\nlanguage: 1\ntitle: A rule\ntopic: offers\n"
        files[f"journeys/{name}/journey.yaml"] = head + textwrap.dedent(text)
        if "send:" in text:
            files[f"journeys/{name}/hello.txt"] = TEMPLATE
    return files


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_rule(database: Database, name: str) -> None:
    journey, tests, others = SCENARIOS[name]
    told = []
    for test in tests.strip().split("- name:")[1:]:
        text = "- name:" + test.rstrip() + "\n"
        if "  start:" not in text:
            text += "  start: 2026-03-01T10:00:00+01:00\n"
        if "  contact:" not in text:
            text += "  contact: {consents: [offers]}\n"
        told.append(textwrap.indent(text, "  "))
    holds(database, project_files(journey, others), "demo", "".join(told))


def names_in(database: Database, journey: str) -> list[str]:
    """Who entered the journey."""
    query = select(contact.c.key).join(
        run, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        return sorted(connection.execute(query.where(run.c.journey == journey)).scalars())


def test_a_new_version_enters_only_on_what_is_received_after_its_apply(database: Database) -> None:
    """Ana's event is received before the journey is applied and handled after; ben's happened before, too, and is
    received after."""
    shop = Shop(database)
    shop.identify("ana")
    shop.identify("ben")
    applied = START + timedelta(hours=2)
    late = {**FILES, "journeys/late/journey.yaml": LATE}
    with database.begin() as connection:
        for key, received in (("ana", applied - timedelta(seconds=1)), ("ben", applied)):
            arrival = shop.event(key, "Signed Up", START + timedelta(hours=1))
            store_events(connection, database.deployment, [arrival], pending=True, received_at=received)
    apply_project(database, load_project(late), now=applied, author="tests", git_commit=None)
    shop.versions = load_versions(database)
    shop.tick(applied)
    assert names_in(database, "late") == ["ben"]
    assert names_in(database, "greet") == ["ana", "ben"]


LATE = """
journey: late
language: 1
title: Applied when something has happened
trigger: {event: Signed Up}
steps:
  - {id: pause, wait: 1d}
"""


def test_imported_events_are_history_unless_they_are_live(database: Database) -> None:
    shop = Shop(database)
    shop.identify("ana")
    shop.identify("ben")
    shop.arrive([shop.event("ana", "Signed Up")], pending=False)
    shop.arrive([shop.event("ben", "Signed Up")], pending=True)
    shop.tick(START)
    assert names_in(database, "greet") == ["ben"]


ACTIVE = """
journey: active
language: 1
title: Who orders no more
trigger: {segment: active, change: leave}
steps:
  - {id: pause, wait: 1d}
"""


def test_a_change_of_a_segment_is_dated_when_it_is_seen(database: Database) -> None:
    """The order leaves its window at 10:20; that is seen on the hour, and only then. Ben's is seen at an event."""
    segment = 'segments: {active: {when: \'did("Signed Up", within="3d")\'}}\n'
    catalog = FILES["journeys/catalog.yaml"] + segment
    shop = Shop(database, {**FILES, "journeys/catalog.yaml": catalog, "journeys/active/journey.yaml": ACTIVE})
    ordered, seen = START + timedelta(minutes=20), START + timedelta(days=3, minutes=30)
    for key in ("ana", "ben"):
        shop.identify(key, START - timedelta(days=1))
        shop.arrive([shop.event(key, "Signed Up", ordered)])
    shop.arrive([shop.event("ben", "Left", seen)])

    def members() -> dict[str, tuple[bool, datetime]]:
        query = select(contact.c.key, membership.c.inside, membership.c.since).join(
            contact,
            (contact.c.partition == membership.c.partition) & (contact.c.id == membership.c.contact),
        )
        with database.read() as connection:
            return {row.key: (row.inside, row.since) for row in connection.execute(query)}

    shop.tick(seen - timedelta(seconds=1), EXACT)
    assert members() == {"ana": (True, ordered), "ben": (True, ordered)}
    shop.tick(seen, EXACT)
    assert members() == {"ana": (True, ordered), "ben": (False, seen)}
    shop.tick(START + timedelta(days=4), EXACT)
    assert members() == {"ana": (False, START + timedelta(days=3, hours=1)), "ben": (False, seen)}


def test_events_of_one_instant_go_by_file_name_then_line(database: Database, tmp_path: Path) -> None:
    """Who is told after they started leaves at once; their identifiers and their contacts stand in another order."""
    journey, _, others = SCENARIOS["events of one instant go by arrival"]
    project = load_project(project_files(journey, others))
    at = "2026-03-01T10:00:00Z"

    def line(key: str, name: str, identifier: str) -> str:
        told = {"type": "track", "userId": key, "event": name, "timestamp": at, "messageId": identifier}
        return json.dumps(told) + "\n"

    second = line("zoe", "Told", "9") + line("bea", "Started", "8") + line("ana", "Told", "1")
    first = line("zoe", "Started", "7") + line("ana", "Started", "6") + line("ana", "Told", "5")
    first += line("cleo", "Told", "4") + line("cleo", "Started", "3") + line("bea", "Told", "2")
    (tmp_path / "2.ndjson").write_text(second)
    (tmp_path / "1.ndjson").write_text(first)
    replay(database, project, recordings(tmp_path), grants=[])
    query = select(contact.c.key, run.c.reason).join(
        contact, (contact.c.partition == run.c.partition) & (contact.c.id == run.c.contact)
    )
    with database.read() as connection:
        ended = {row.key: row.reason for row in connection.execute(query)}
    assert ended == {"ana": "told", "zoe": "told", "bea": None, "cleo": None}


@cache
def written_tests(path: str) -> frozenset[str]:
    tree = ast.parse((Path(__file__).parents[1] / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


NAMED: dict[str, Collection[str]] = {
    "test_a_rule": SCENARIOS,
    "test_policy": POLICIES,
    "test_a_rule_of_waits": WAITS,
}


@pytest.mark.parametrize("said", RULES)
def test_each_rule_is_held_by_tests_that_exist(said: str) -> None:
    assert RULES[said]
    for shown in RULES[said]:
        path, _, name = shown.partition("::")
        name, _, case = name.partition("[")
        assert name in written_tests(path), shown
        assert not case or case.removesuffix("]") in NAMED[name], shown
