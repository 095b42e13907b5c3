"""What waits mean, rule by rule: each scenario would come out otherwise under the other reading of the rule.

They run on the real engine, as the scenarios of a journey do. That the rest of the language agrees, on both databases
and however the work is cut, is for the naive model (``test_reference_model.py``).
"""

from __future__ import annotations

import textwrap

import pytest

from runner.journey.project import load_project
from runner.journey.scenario_file import find_scenarios
from runner.review.outcomes import failure_text
from runner.review.scenarios import play_all

CATALOG = """
timezone: Europe/Berlin
attributes:
  plan: {type: string}
  ends: {type: date}
  meets: {type: datetime}
events:
  Started: {n: number, k: string, ends: date}
  Ordered: {n: number, k: string}
  Commented: {by: string, text: string}
topics:
  offers: {title: Offers, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
DIGEST = (
    '---\nsubject: "{{ run.comments|length }}"\n---\n{% for one in run.comments %}{{ one.by }} {% endfor %}\n'
)

RULES: dict[str, tuple[str, str, str]] = {}
"""Rule → the steps of a journey, scenarios that hold it to the rule, and when its runs end as ``out``."""


def rule(name: str, steps: str, tests: str, out: str = "contact.plan == 'out'") -> None:
    RULES[name] = (textwrap.dedent(steps), textwrap.dedent(tests), out)


# Events ------------------------------------------------------------------------------------------------------------

rule(
    "the time-out goes before the event of its instant, and does not see it",
    """
    - {id: order, wait: {event: Ordered, up_to: 1d, then: [{id: bought, exit: bought}]}}
    - {id: seen, condition: {if: did("Ordered"), else: [{id: unseen, exit: unseen}]}}
    """,
    """
    - name: at the instant
      events: [{at: 0m, event: Started}, {at: 1d, event: Ordered}]
      expect: [{at: 1d, exit: unseen}]
    - name: a second before
      events: [{at: 0m, event: Started}, {at: 86399s, event: Ordered}]
      expect: [{at: 86399s, exit: bought}]
    """,
)
rule(
    "from here on means: not what came before the wait",
    """
    - {id: pause, wait: 1d}
    - {id: order, wait: {event: Ordered, up_to: 1d, then: [{id: bought, exit: bought}]}}
    - {id: late, exit: late}
    """,
    """
    - name: before the wait
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered}]
      expect: [{at: 2d, exit: late}]
    - name: at the instant at which the run comes there
      events: [{at: 0m, event: Started}, {at: 1d, event: Ordered}]
      expect: [{at: 1d, exit: bought}]
    """,
)
rule(
    "since entry sees what came before the wait, the first of it, but not what started the run",
    """
    - {id: pause, wait: 1d}
    - id: order
      wait:
        event: Ordered
        since: entry
        where: event.n > 1
        up_to: 1d
        save_as: order
        then: [{id: which, branch: [{when: run.order.n == 2, name: first, steps: [{id: first, exit: first}]},
                {name: rest, else: [{id: other, exit: other}]}]}]
    - {id: late, exit: late}
    """,
    """
    - name: the first for which the condition holds is kept
      events:
        - {at: 0m, event: Started}
        - {at: 1h, event: Ordered, n: 1}
        - {at: 2h, event: Ordered, n: 2}
        - {at: 3h, event: Ordered, n: 3}
      expect: [{at: 1d, exit: first}]
    - name: what came before the run does not count
      events: [{at: 0m, event: Ordered, n: 2}, {at: 0m, event: Started}]
      expect: [{at: 2d, exit: late}]
    - name: what came behind the trigger at its instant does
      events: [{at: 0m, event: Started}, {at: 0m, event: Ordered, n: 2}]
      expect: [{at: 1d, exit: first}]
    - name: later ones wake as ever
      events: [{at: 0m, event: Started}, {at: 25h, event: Ordered, n: 7}]
      expect: [{at: 25h, exit: other}]
    """,
)
rule(
    "the event that started the run is not the one it waits for",
    """
    - {id: again, wait: {event: Started, since: entry, up_to: 1d, then: [{id: twice, exit: twice}]}}
    - {id: once, exit: once}
    """,
    """
    - name: once
      events: [{at: 0m, event: Started}]
      expect: [{at: 1d, exit: once}]
    - name: twice
      events: [{at: 0m, event: Started}, {at: 0m, event: Started}]
      expect: [{at: 0m, exit: twice}]
    """,
)
rule(
    "what is kept replaces what was kept",
    """
    - {id: one, wait: {event: Ordered, up_to: 1d, save_as: order}}
    - {id: two, wait: {event: Ordered, up_to: 1d, save_as: order}}
    - {id: left, condition: {if: run.order.k is None, else: [{id: mixed, exit: mixed}]}}
    - {id: replaced, exit: replaced}
    """,
    """
    - name: nothing of the earlier one is left
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered, k: x}, {at: 2h, event: Ordered, n: 2}]
      expect: [{at: 2h, exit: replaced}]
    """,
)

# Up to a date ------------------------------------------------------------------------------------------------------

rule(
    "up to a date follows the date",
    """
    - {id: order, wait: {event: Ordered, up_to: {until: contact.ends, offset: -1d}, then: [{id: bought, exit: bought}]}}
    - {id: late, exit: late}
    """,
    """
    - name: the day before, at midnight where the contact lives
      contact: {ends: 2026-03-05}
      events: [{at: 0m, event: Started}]
      expect: [{at: 2026-03-04T00:00:00+01:00, exit: late}]
    - name: it moves later
      contact: {ends: 2026-03-05}
      events: [{at: 0m, event: Started}, {at: 1d, identify: {ends: 2026-03-09}}, {at: 4d, event: Ordered}]
      expect: [{at: 4d, exit: bought}]
    - name: it moves into the past
      contact: {ends: 2026-03-09}
      events: [{at: 0m, event: Started}, {at: 1d, identify: {ends: 2026-03-01}}]
      expect: [{at: 1d, exit: late}]
    - name: it goes missing
      contact: {ends: 2026-03-09}
      events: [{at: 0m, event: Started}, {at: 1d, identify: {ends: null}}]
      expect: [{at: 1d, exit: late}]
    - name: it is missing
      events: [{at: 0m, event: Started}]
      expect: [{at: 0m, exit: late}]
    - name: the zone moves it
      contact: {ends: 2026-03-05}
      events: [{at: 0m, event: Started}, {at: 1d, identify: {timezone: America/New_York}}]
      expect: [{at: 2026-03-04T00:00:00-05:00, exit: late}]
    """,
)
rule(
    "what is so already goes before a date that is past",
    """
    - {id: pro, wait: {when: contact.plan == "pro", up_to: {until: contact.ends}, then: [{id: is, exit: is}]}}
    - {id: late, exit: late}
    """,
    """
    - name: true and past
      contact: {plan: pro, ends: 2026-01-01}
      events: [{at: 0m, event: Started}]
      expect: [{at: 0m, exit: is}]
    """,
)
rule(
    "a change of zone never moves an elapsed wait",
    """
    - {id: order, wait: {event: Ordered, up_to: 1d}}
    - {id: pause, wait: 24h}
    - {id: digest, wait: {collect: Commented, for: 24h, save_as: comments}}
    - {id: done, exit: done}
    """,
    """
    - name: three days, wherever
      events:
        - {at: 0m, event: Started}
        - {at: 1h, identify: {timezone: Asia/Tokyo}}
        - {at: 25h, identify: {timezone: America/New_York}}
        - {at: 49h, identify: {timezone: Asia/Tokyo}}
      expect: [{at: 72h, exit: done}]
    """,
)

# Conditions --------------------------------------------------------------------------------------------------------

rule(
    "a condition is read on arrival, at every event, and when time alone turns it",
    """
    - id: pro
      wait: {when: contact.plan == "pro" or days_since("Ordered") >= 2, up_to: 9d, then: [{id: is, exit: is}]}
    - {id: late, exit: late}
    """,
    """
    - name: on arrival
      contact: {plan: pro}
      events: [{at: 0m, event: Started}]
      expect: [{at: 0m, exit: is}]
    - name: when the contact changes
      events: [{at: 0m, event: Started}, {at: 3h, identify: {plan: pro}}]
      expect: [{at: 3h, exit: is}]
    - name: at the instant at which time turns it, and not at the next event
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered}, {at: 5d, event: Commented}]
      expect: [{at: 49h, exit: is}]
    - name: an event puts that off
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered}, {at: 2d, event: Ordered}]
      expect: [{at: 4d, exit: is}]
    - name: never
      events: [{at: 0m, event: Started}]
      expect: [{at: 9d, exit: late}]
    """,
)
rule(
    "of time alone too, the time-out is first",
    """
    - {id: quiet, wait: {when: days_since("Started") >= 2, up_to: 2d, then: [{id: is, exit: is}]}}
    - {id: late, exit: late}
    """,
    """
    - name: at one instant
      events: [{at: 0m, event: Started}]
      expect: [{at: 2d, exit: late}]
    """,
)
rule(
    "a date that moves takes the instant with it at which a condition turns",
    """
    - {id: day, wait: {when: today >= contact.ends, up_to: 30d, then: [{id: is, exit: is}]}}
    - {id: late, exit: late}
    """,
    """
    - name: later
      contact: {ends: 2026-03-05}
      events: [{at: 0m, event: Started}, {at: 1d, identify: {ends: 2026-03-09}}]
      expect: [{at: 2026-03-09T00:00:00+01:00, exit: is}]
    - name: and the zone with it
      contact: {ends: 2026-03-05}
      events: [{at: 0m, event: Started}, {at: 1d, identify: {timezone: Asia/Tokyo}}]
      expect: [{at: 2026-03-05T00:00:00+09:00, exit: is}]
    """,
)
rule(
    "what another run of the contact writes is read at its instant",
    """
    - id: which
      branch:
        - when: trigger.k == "writer"
          name: writer
          steps: [{id: pause, wait: 1d}, {id: write, update: {set: {plan: pro}}}, {id: wrote, exit: wrote}]
        - name: reader
          else: [{id: pro, wait: {when: contact.plan == "pro", up_to: 9d, then: [{id: is, exit: is}]}}]
    - {id: late, exit: late}
    """,
    """
    - name: at once
      events: [{at: 0m, event: Started, k: reader}, {at: 0m, event: Started, k: writer}]
      expect: [{at: 1d, exit: wrote}, {at: 1d, exit: is}]
    """,
)
rule(
    "exits go before waits",
    """
    - {id: pro, wait: {when: contact.plan == "out", up_to: 9d, then: [{id: is, exit: is}]}}
    """,
    """
    - name: both at one event
      events: [{at: 0m, event: Started}, {at: 3h, identify: {plan: out}}]
      expect: [{at: 3h, exit: out}]
    """,
)

# Several things ----------------------------------------------------------------------------------------------------

rule(
    "whichever comes first, and of those that come together the first of the list",
    """
    - id: first
      wait:
        any:
          - {event: Ordered, where: event.n > 100, name: big, save_as: big, then: [{id: big, exit: big}]}
          - {when: count("Ordered") >= 2, name: two, then: [{id: two, exit: two}]}
          - {event: Ordered, since: entry, where: event.n == 7, name: seven, then: [{id: seven, exit: seven}]}
          - {event: Commented, then: [{id: said, exit: said}]}
        up_to: 5d
        timeout: [{id: silent, exit: silent}]
    """,
    """
    - name: an event
      events: [{at: 0m, event: Started}, {at: 1h, event: Commented}, {at: 2h, event: Ordered, n: 200}]
      expect: [{at: 1h, exit: said}]
    - name: an event that also makes the condition true
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered, n: 1}, {at: 2h, event: Ordered, n: 200}]
      expect: [{at: 2h, exit: big}]
    - name: the condition stands before the event
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered, n: 1}, {at: 2h, event: Ordered, n: 7}]
      expect: [{at: 2h, exit: two}]
    - name: nothing
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered, n: 1}]
      expect: [{at: 5d, exit: silent}]
    """,
)

# Digests -----------------------------------------------------------------------------------------------------------

rule(
    "a digest goes out when its time has come, with the newest, the oldest first",
    """
    - {id: gather, wait: {collect: Commented, for: 1d, max: 2, save_as: comments, if_empty: [{id: none, exit: none}]}}
    - {id: digest, send: email}
    """,
    """
    - name: more than it keeps
      events:
        - {at: 0m, event: Started}
        - {at: 1h, event: Commented, by: ana}
        - {at: 2h, event: Commented, by: bo}
        - {at: 3h, event: Commented, by: cy}
        - {at: 1d, event: Commented, by: di}
      expect: [{at: 1d, send: digest, subject_contains: "2", text_contains: "bo cy"}]
    - name: nothing
      events: [{at: 0m, event: Started}, {at: 1d, event: Commented, by: di}]
      expect: [{at: 1d, exit: none}]
    """,
)
rule(
    "a digest since entry has what started the run, and what came before the wait",
    """
    - {id: pause, wait: 2h}
    - {id: gather, wait: {collect: Started, since: entry, where: event.n > 0, for: 1d, save_as: starts}}
    - {id: one, condition: 1 in run.starts.n}
    - {id: all, condition: 2 in run.starts.n and 3 in run.starts.n}
    - {id: yes, exit: "yes"}
    """,
    """
    - name: all three
      events: [{at: 0m, event: Started, n: 1}, {at: 1h, event: Started, n: 2}, {at: 3h, event: Started, n: 3}]
      expect: [{at: 26h, exit: "yes"}]
    """,
)
rule(
    "a run that ends by what it has kept does so before its next step",
    """
    - {id: gather, wait: {collect: Commented, for: 1d, save_as: comments}}
    - {id: late, exit: late}
    """,
    """
    - name: an empty list is one
      events: [{at: 0m, event: Started}]
      expect: [{at: 1d, exit: out}]
    """,
    out="run.comments is not None",
)
rule(
    "what came since entry, and lets a run pass at once, ends it before its next step",
    """
    - {id: pause, wait: 2h}
    - {id: order, wait: {event: Ordered, since: entry, up_to: 1d, save_as: order}}
    - {id: late, exit: late}
    """,
    """
    - name: ordered while it paused
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered, n: 2}]
      expect: [{at: 2h, exit: out}]
    - name: ordered something else
      events: [{at: 0m, event: Started}, {at: 1h, event: Ordered, n: 1}]
      expect: [{at: 2h, exit: late}]
    """,
    out="run.order.n == 2",
)
rule(
    "a digest at a local time follows the zone",
    """
    - {id: gather, wait: {collect: Commented, for: 1h, at: "09:00", save_as: comments}}
    - {id: digest, send: email}
    """,
    """
    - name: the next nine o'clock there
      events:
        - {at: 0m, event: Started}
        - {at: 1h, event: Commented, by: ana}
        - {at: 2h, identify: {timezone: America/New_York}}
      expect: [{at: 2026-03-01T09:00:00-05:00, send: digest, text_contains: ana}]
    """,
)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_of_waits(name: str) -> None:
    steps, tests, out = RULES[name]
    journey = (
        "journey: demo\nlanguage: 1\ntitle: Waits\ntopic: offers\ntrigger: {event: Started}\n"
        "entry: {per: trigger.k, reentry: always}\n"
        f"exit: [{{when: {out}, reason: out}}]\nsteps:\n" + textwrap.indent(steps, "  ")
    )
    scenarios = "journey: demo\ntests:\n"
    for test in tests.strip().split("- name:")[1:]:
        test = "- name:" + test
        if "contact: {" not in test:
            test = test.replace("\n", "\n  contact: {}\n", 1)
        test = test.replace("contact: {", "contact: {id: ana, email: ana@shop.example, ").replace(", }", "}")
        test = test.replace("\n", "\n  start: 2026-03-01T10:00:00+01:00\n", 1)
        scenarios += textwrap.indent(test, "  ")
    project = load_project(
        {
            "journeys/catalog.yaml": CATALOG,
            "journeys/demo/journey.yaml": journey,
            "journeys/demo/tests.yaml": scenarios,
            "journeys/demo/digest.txt": DIGEST,
        }
    )
    assert not project.problems, project.problems
    found, problems = find_scenarios(project)
    assert not problems, problems
    outcomes = list(play_all(project, found))
    assert outcomes
    failed = [failure_text(outcome) for outcome in outcomes if not outcome.passed]
    assert not failed, "\n".join(failed)
