"""Steps by which a run acts beyond itself: emit, enroll, consent, and the score of an update."""

from __future__ import annotations

import pytest
from plays import holds

from runner.journey.project import load_project
from runner.journey.scenario_file import load_scenarios
from runner.review.check import rule_problems
from runner.review.scenarios import Stage
from runner.store.database import Database
from runner.store.tables import consent_log, conversion, event, run
from tests.acting import CATALOG, project, rows

EMITS = """
trigger: {event: Signed Up}
entry: {reentry: always}
steps:
  - {id: pause, wait: 1h}
  - id: trial
    emit:
      event: Trial Started
      properties: {plan: gold, seats: = trigger.seats * 2, ends: = today + days("14d")}
  - {id: counted, condition: {if: 'did("Trial Started")', else: [{id: not-yet, exit: not-yet}]}}
"""

HEARS = """
topic: offers
trigger: {event: Trial Started, where: event.seats == 6}
steps:
  - {id: hello, send: email}
"""


def test_an_emitted_event_starts_another_journey_at_the_same_instant(database: Database) -> None:
    files = project(emits=EMITS, hears=HEARS)
    holds(
        database,
        files,
        "hears",
        """
  - name: The event arrives with its values
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    with: [emits]
    events:
      - {at: 0m, event: Signed Up, plan: free, seats: 3}
    expect:
      - {at: 1h, send: hello}
      - {at: 1h, completed: true}
""",
    )
    stored = rows(database, event.c.name, event.c.properties)
    assert ("Trial Started", {"plan": "gold", "seats": 6_000_000, "ends": "2026-03-15"}) in stored


def test_what_a_run_emits_is_past_only_after_it_has_taken_its_turn(database: Database) -> None:
    """The steps behind an emit do not see the event yet; what comes later does."""
    holds(
        database,
        project(emits=EMITS),
        "emits",
        """
  - name: Directly behind it
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up, seats: 3}
    expect:
      - {at: 1h, exit: not-yet}
  - name: A second time around
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up, seats: 3}
      - {at: 2h, event: Signed Up, seats: 3}
    expect:
      - {at: 1h, exit: not-yet}
      - {at: 3h, completed: true}
""",
    )


def test_what_a_run_causes_comes_before_anything_later(database: Database) -> None:
    """The event that the run causes at 1h is handled before the one that arrives a microsecond later, and after the one
    that arrived at that very instant before it."""
    hears = """
topic: offers
trigger: {event: Trial Started}
exit: [{event: Left, reason: left}]
steps:
  - {id: stay, wait: 1d}
"""
    holds(
        database,
        project(emits=EMITS, hears=hears),
        "hears",
        """
  - name: Later by a second
    start: 2026-03-01T10:00:00Z
    with: [emits]
    events:
      - {at: 0m, event: Signed Up, seats: 3}
      - {at: 60m1s, event: Left}
    expect:
      - {at: 60m1s, exit: left}
  - name: At the very instant, but stored before it was caused
    start: 2026-03-01T10:00:00Z
    with: [emits]
    events:
      - {at: 0m, event: Signed Up, seats: 3}
      - {at: 1h, event: Left}
    expect:
      - {at: 25h, completed: true}
""",
    )


CONSENTS = """
topic: offers
trigger: {event: Signed Up}
steps:
  - {id: agree, consent: {give: offers, channel: email}}
  - {id: hello, send: email}
  - {id: pause, wait: 1h}
  - {id: no-more, consent: {withdraw: offers}}
  - {id: again, send: {channel: email, template: hello}}
"""


def test_a_consent_holds_for_the_steps_behind_it(database: Database) -> None:
    holds(
        database,
        project(consents=CONSENTS),
        "consents",
        """
  - name: Given, then withdrawn
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
    expect:
      - {at: 0m, send: hello}
      - {at: 1h, send: again, blocked: no_consent}
      - {at: 1h, completed: true}
""",
    )
    proofs = rows(
        database, consent_log.c.topic, consent_log.c.channel, consent_log.c.state, consent_log.c.source
    )
    assert proofs == [
        ("offers", "email", "given", "consents/agree"),
        ("offers", "*", "withdrawn", "consents/no-more"),
    ]


def test_other_journeys_hear_of_a_consent(database: Database) -> None:
    hears = """
trigger: {event: Consent Withdrawn, where: event.topic == "offers"}
steps:
  - {id: asked, exit: heard}
"""
    holds(
        database,
        project(consents=CONSENTS, hears=hears),
        "hears",
        """
  - name: Of the step that withdraws
    start: 2026-03-01T10:00:00Z
    with: [consents]
    events:
      - {at: 0m, event: Signed Up}
    expect:
      - {at: 1h, exit: heard}
""",
    )


ENROLLS = """
trigger: {event: Signed Up}
entry: {reentry: always}
steps:
  - {id: pause, wait: 30m}
  - {id: pass-on, enroll: {journey: next, properties: {plan: = trigger.plan, seats: 4}}}
  - {id: stay, wait: 1d}
"""

NEXT = """
topic: offers
trigger: {manual: true, properties: {plan: string, seats: number}}
steps:
  - id: many
    condition: {if: trigger.seats == 4 and trigger.plan == "pro", else: [{id: few, exit: few}]}
  - {id: hello, send: email}
"""


def test_a_journey_is_entered_by_another_with_what_that_hands_over(database: Database) -> None:
    tests = """
  - name: Entered by the step, at its instant
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    with: [enrolls]
    events:
      - {at: 0m, event: Signed Up, plan: pro}
    expect:
      - {at: 30m, send: hello}
      - {at: 30m, completed: true}
  - name: Its entry rules hold as for any other trigger
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    with: [enrolls]
    events:
      - {at: 0m, event: Signed Up, plan: free}
      - {at: 2d, event: Signed Up, plan: pro}
    expect:
      - {at: 30m, exit: few}
"""
    holds(database, project(enrolls=ENROLLS, next=NEXT), "next", tests)


def test_a_journey_is_entered_from_its_own_place_only(database: Database) -> None:
    other = NEXT.replace("seats == 4", "seats == 5")
    tests = """
  - name: Nobody enrolls into this one
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    with: [enrolls, next]
    events:
      - {at: 0m, event: Signed Up, plan: pro}
    expect: []
"""
    holds(database, project(enrolls=ENROLLS, next=NEXT, other=other), "other", tests)


ROUND = """
trigger: {event: Signed Up}
entry: {reentry: always, again: restart}
steps:
  - {id: on, emit: {event: Trial Started, properties: {seats: 6}}}
  - {id: stay, wait: 1d}
"""

AND_ROUND = """
trigger: {event: Trial Started}
entry: {reentry: always, again: restart}
steps:
  - {id: back, emit: Signed Up}
  - {id: stay, wait: 1d}
"""


def test_a_circle_ends_after_fifty_events_at_one_instant(database: Database) -> None:
    project_ = load_project(project(round=ROUND, back=AND_ROUND))
    assert "journey/circle" in {problem.code for problem in rule_problems(project_)}
    stage = Stage(database, project_, ["round", "back"])
    text = """
journey: round
tests:
  - name: Round and round
    start: 2026-03-01T10:00:00Z
    with: [back]
    events: [{at: 0m, event: Signed Up}]
    expect: []
"""
    scenarios, _ = load_scenarios(
        "journeys/round/tests.yaml", text, "round", project_.catalog, project_.journeys
    )
    stage.play(scenarios[0])
    names = [name for (name,) in rows(database, event.c.name)]
    assert len([name for name in names if name in ("Signed Up", "Trial Started")]) == 1 + 51
    set_aside = [row for row in rows(database, run.c.status, run.c.reason) if row[0] == "set_aside"]
    assert set_aside == [("set_aside", "circle")]


SCORES = """
topic: offers
trigger: {event: Signed Up}
exit: [{when: contact.score >= 100, reason: hot}]
steps:
  - {id: called, update: {score: {add: 30}}}
  - {id: warm, condition: {if: contact.score == 30, else: [{id: cold, exit: cold}]}}
  - {id: pause, wait: 1h}
  - {id: less, update: {score: {add: = -contact.score / 2, name: lead}}}
  - {id: half, condition: {if: contact.score == 15, else: [{id: wrong, exit: wrong}]}}
  - {id: more, update: {score: {add: 85}}}
  - {id: end, wait: 1d}
"""


def test_what_is_added_to_a_score_is_seen_by_the_steps_behind_it(database: Database) -> None:
    files = project(demo=SCORES)
    files["journeys/catalog.yaml"] = CATALOG + "scores:\n  lead: [{event: Left, add: 1}]\n"
    tests = """
  - name: Up, down, and up to the exit
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect: [{at: 1h, exit: hot}]
  - name: Without any consent there is no score
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect: [{at: 0m, exit: cold}]
"""
    holds(database, files, "demo", tests)


CHOOSES = """
trigger: {event: Signed Up}
steps:
  - {id: note, update: {set: {tier: = trigger.plan}}}
  - {id: is-gold, condition: {if: contact.tier == "gold", else: [{id: bye, exit: not-gold}]}}
  - {id: end, wait: 1d}
"""


def test_a_step_writes_no_value_that_an_attribute_may_not_have(database: Database) -> None:
    files = project(demo=CHOOSES)
    files["journeys/catalog.yaml"] = CATALOG.replace(
        "attributes:\n", "attributes:\n  tier: {type: string, one_of: [silver, gold]}\n", 1
    )
    tests = """
  - name: One that it may have
    contact: {tier: silver}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up, plan: gold}]
    expect: [{at: 1d, completed: true}]
  - name: One that it may not have leaves nothing
    contact: {tier: gold}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up, plan: lead}]
    expect: [{at: 0m, exit: not-gold}]
"""
    holds(database, files, "demo", tests)


GROWS = """
topic: TOPIC
trigger: {event: Signed Up}
steps:
  - id: offer
    series:
      each: [5, 10]
      do:
        - {id: percent, update: {run: {percent: "{item}"}}}
        - {id: mail, send: {channel: email, template: hello}}
"""


@pytest.mark.parametrize("topic", ["offers", "receipts"])
def test_a_message_says_what_its_run_knew_when_it_was_let_go(database: Database, topic: str) -> None:
    files = project(demo=GROWS.replace("TOPIC", topic))
    files["journeys/demo/hello.txt"] = "---\nsubject: Hello\n---\n{{ run.percent }} percent\n"
    tests = """
  - name: Two mails at one instant, each with its own number
    contact: {consents: [offers], email: ana@x.example}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect:
      - {at: 0m, send: offer.5.mail, text_contains: "5 percent"}
      - {at: 0m, send: offer.10.mail, text_contains: "10 percent"}
      - {at: 0m, completed: true}
"""
    holds(database, files, "demo", tests)


CART = """
topic: offers
trigger: {event: Signed Up}
entry: {again: restart, reentry: always, per: trigger.plan}
goal: {event: Left, within: 7d, value: "60"}
steps:
  - {id: mail, send: {channel: email, template: hello}}
  - {id: rest, wait: 2d}
"""


def test_a_purchase_counts_once_for_a_journey_that_was_restarted(database: Database) -> None:
    project_ = load_project(project(demo=CART))
    stage = Stage(database, project_, ["demo"])
    text = """
journey: demo
tests:
  - name: Twice for one cart, once for another
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up, plan: a}
      - {at: 1h, event: Signed Up, plan: a}
      - {at: 2h, event: Signed Up, plan: b}
      - {at: 3h, event: Left}
    expect: [{at: 0m, send: mail}, {at: 1h, send: mail}, {at: 2h, send: mail}]
"""
    path = "journeys/demo/tests.yaml"
    scenarios, _ = load_scenarios(path, text, "demo", project_.catalog, project_.journeys)
    stage.play(scenarios[0])
    counted = rows(database, conversion.c.run, conversion.c.value)
    assert sorted(counted) == [(2, 60_000_000), (3, 60_000_000)]
