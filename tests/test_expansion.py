"""Series and fragments: steps that are written out before a journey is built."""

from __future__ import annotations

from plays import holds

from runner.engine.apply import apply_project
from runner.engine.versions import load_versions
from runner.journey.expansion import MOST_STEPS
from runner.journey.graph import walk
from runner.journey.model import Send, WaitFor
from runner.journey.project import load_project
from runner.journey.version import version_hash
from runner.review.check import check_files
from runner.review.scenarios import BEGINNING
from runner.store.database import Database
from tests.acting import project

SERIES = """
topic: offers
trigger: {event: Signed Up}
steps:
  - id: nudges
    series:
      each: [1, 2]
      do:
        - {id: pause, wait: "{item}d"}
        - {id: hello, send: email}
        - {id: counted, condition: {if: 'sent("hello")', else: [{id: away, goto: last}]}}
        - {id: remember, update: {run: {number: "{item}"}}}
        - {id: last, wait: 1h}
  - {id: done, condition: {if: run.number == 2, else: [{id: wrong, exit: wrong}]}}
"""


def test_a_series_repeats_its_steps_once_an_item(database: Database) -> None:
    """``sent("hello")`` is that of the same item, and ``goto`` stays within it."""
    tests = """
  - name: Two rounds, one after the other
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect:
      - {at: 24h, send: nudges.1.hello}
      - {at: 73h, send: nudges.2.hello}
      - {at: 74h, completed: true}
  - name: Only the second is not consented to
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2d, consent: offers, change: withdrawn}
    expect:
      - {at: 24h, send: nudges.1.hello}
      - {at: 73h, send: nudges.2.hello, blocked: no_consent}
      - {at: 74h, exit: wrong}
"""
    holds(database, project(demo=SERIES), "demo", tests)


HINT = """
fragment: hint
parameters:
  pause: {type: duration, default: 1d}
  least: number
steps:
  - {id: rest, wait: "{pause}"}
  - {id: enough, condition: {if: "contact.points >= {least}", else: [{id: skip, goto: end}]}}
  - {id: hello, send: email}
  - {id: end, wait: 1h}
"""
USES = """
topic: offers
trigger: {event: Signed Up}
steps:
  - {id: first, use: {fragment: hint, with: {least: 10}}}
  - {id: second, use: {fragment: hint, with: {least: 100, pause: 2h}}}
"""


def uses(hint: str = HINT) -> dict[str, str]:
    return project(demo=USES) | {
        "journeys/fragments/hint.yaml": hint,
        "journeys/demo/hello.txt": "---\nsubject: A hint\n---\nHello\n",
    }


def test_a_fragment_is_used_with_values_of_its_own(database: Database) -> None:
    tests = """
  - name: Enough for the first use, not for the second
    contact: {consents: [offers], points: 50}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect:
      - {at: 24h, send: first.hello, subject_contains: A hint}
      - {at: 28h, completed: true}
      - {never: second.hello}
"""
    holds(database, uses(), "demo", tests)


def test_a_version_holds_its_fragments(sqlite_database: Database) -> None:
    """What was applied is whole: the files of the version compile to the same steps without the folder."""
    loaded = load_project(uses())
    assert "journeys/fragments/hint.yaml" in loaded.bundle("demo")
    apply_project(sqlite_database, loaded, now=BEGINNING, author=None, git_commit=None)
    version = load_versions(sqlite_database).current["demo"]
    assert [step.id for step in walk(version.journey.steps)] == [
        f"{use}.{step}" for use in ("first", "second") for step in ("rest", "enough", "skip", "hello", "end")
    ]
    assert {step.verb.template for step in walk(version.journey.steps) if isinstance(step.verb, Send)} == {
        "hello"
    }


def test_a_fragment_is_a_part_of_the_version() -> None:
    """Its words make a new version; its comments do not, nor does a fragment that nobody uses."""
    before = version_hash(load_project(uses()), "demo")
    assert version_hash(load_project(uses(HINT.replace("wait: 1h", "wait: 2h"))), "demo") != before
    assert version_hash(load_project(uses("# why\n" + HINT)), "demo") == before
    other = uses() | {"journeys/fragments/other.yaml": HINT.replace("fragment: hint", "fragment: other")}
    assert version_hash(load_project(other), "demo") == before
    assert "journeys/fragments/other.yaml" not in load_project(other).bundle("demo")


def test_a_number_is_filled_in_as_a_number() -> None:
    loaded = load_project(project(demo=SERIES))
    waits = [step.verb for step in walk(loaded.journeys["demo"].steps) if isinstance(step.verb, WaitFor)]
    assert [wait.duration.days for wait in waits if wait.duration.days] == [1, 2]


def test_a_problem_points_into_the_fragment() -> None:
    broken = uses(HINT.replace("contact.points >= {least}", "contact.pionts >= {least}"))
    (problem,) = check_files(broken).problems
    assert (problem.span.file, problem.span.line, problem.code) == (
        "journeys/fragments/hint.yaml",
        8,
        "expression/unknown-attribute",
    )


def test_a_journey_that_grows_beyond_all_bounds_is_refused() -> None:
    """Each level multiplies: what is written out is counted, not what is written."""
    steps = "[{id: pause, wait: 1h}]"
    for level in range(8):
        steps = f"[{{id: level{level}, series: {{each: [1, 2, 3, 4, 5, 6, 7, 8, 9], do: {steps}}}}}]"
    text = f"trigger: {{event: Signed Up}}\nsteps: {steps}\n"
    problems = check_files(project(demo=text)).problems
    assert [problem.code for problem in problems] == ["series/too-large"]
    assert f"{MOST_STEPS:,}" in problems[0].message
