"""Links by which the readers of messages steer their runs."""

from __future__ import annotations

from documents import beside_what_it_leaves_out
from plays import holds

from runner.journey.project import load_project
from runner.journey.scenario_file import find_scenarios
from runner.problem import Severity
from runner.review.check import check_files
from runner.store.database import Database
from runner.store.tables import consent_log, run
from tests.acting import project, rows

LINKS = """
topic: offers
trigger: {event: Signed Up}
links:
  later: {snooze: [3d, 1w]}
  stop: {exit: stopped}
  done: {emit: {event: Trial Started, properties: {seats: = trigger.seats}}, expires: 2d}
  confirm: {consent: {give: news}}
  behind: {ask: {run.starts: {type: date, min: = today}}}
steps:
  - {id: rest, wait: 1h}
  - {id: hello, send: email}
  - {id: pause, wait: 1d}
  - id: when
    branch: [{when: run.starts is not None, name: said, steps: [{id: said, exit: said}]}, {name: rest, else: []}]
  - {id: again, send: {channel: email, template: hello}}
  - {id: end, wait: 1d}
"""


def test_a_snooze_puts_the_run_back_before_the_message_that_carried_the_link(database: Database) -> None:
    """The message comes once more, after so long, and what stands behind it takes its time anew."""
    tests = """
  - name: The first message, put off for three days
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, press: later, option: 3d}
    expect:
      - {at: 1h, send: hello}
      - {at: 74h, send: hello}
      - {at: 98h, send: again}
      - {at: 122h, completed: true}
  - name: The second message, for a week; then the first is as it was
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 26h, press: later, option: 1w}
    expect:
      - {at: 1h, send: hello}
      - {at: 25h, send: again}
      - {at: 194h, send: again}
      - {at: 218h, completed: true}
"""
    holds(database, project(demo=LINKS), "demo", tests)


def test_a_second_press_and_one_after_the_end_change_nothing(database: Database) -> None:
    tests = """
  - name: Twice in the same message
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, press: later, option: 3d}
      - {at: 3h, press: later, option: 1w}
    expect:
      - {at: 1h, send: hello}
      - {at: 74h, send: hello}
      - {at: 98h, send: again}
      - {at: 122h, completed: true}
  - name: After the end
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, press: stop}
      - {at: 3h, press: later, option: 3d}
    expect:
      - {at: 1h, send: hello}
      - {at: 2h, exit: stopped}
"""
    holds(database, project(demo=LINKS), "demo", tests)


def test_links_record_events_ask_and_expire(database: Database) -> None:
    hears = """
trigger: {event: Trial Started, where: event.seats == 3}
steps:
  - {id: heard, exit: heard}
"""
    files = project(demo=LINKS, hears=hears)
    in_time = """
  - name: In time
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    with: [demo]
    events:
      - {at: 0m, event: Signed Up, seats: 3}
      - {at: 48h, press: demo/done, of: hello}
    expect: [{at: 48h, exit: heard}]
  - name: The link has expired
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    with: [demo]
    events:
      - {at: 0m, event: Signed Up, seats: 3}
      - {at: 49h, press: demo/done, of: hello}
    expect: []
"""
    holds(database, files, "hears", in_time)
    asked = """
  - name: A day to come
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, press: behind, values: {starts: 2026-03-05}}
    expect:
      - {at: 1h, send: hello}
      - {at: 25h, exit: said}
  - name: A day that is past is not taken
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    until: 2026-03-02T12:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, press: behind, values: {starts: 2026-02-27}}
    expect:
      - {at: 1h, send: hello}
      - {at: 25h, send: again}
"""
    holds(database, files, "demo", asked)


def test_a_wait_for_a_date_moves_as_soon_as_the_reader_gives_one(database: Database) -> None:
    waits = (
        LINKS[: LINKS.index("  - {id: pause")]
        + "  - {id: day, wait: {until: run.starts, if_missing: wait}}\n"
    )
    tests = """
  - name: Nothing was known of it before
    contact: {consents: [offers], timezone: UTC}
    start: 2026-03-01T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, press: behind, values: {starts: 2026-03-05}}
    expect:
      - {at: 1h, send: hello}
      - {at: 2026-03-05T00:00, completed: true}
"""
    holds(database, project(demo=waits), "demo", tests)


def test_a_link_gives_consent_with_itself_as_the_proof(database: Database) -> None:
    tests = """
  - name: Given
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    until: 2026-03-01T13:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, press: confirm}
    expect: [{at: 1h, send: hello}]
"""
    holds(database, project(demo=LINKS), "demo", tests)
    proofs = rows(database, consent_log.c.topic, consent_log.c.state, consent_log.c.source)
    assert ("news", "given", "demo/confirm") in proofs
    assert rows(database, run.c.status) == [("active",)]


def test_a_template_writes_the_address_of_a_link(database: Database) -> None:
    files = project(demo=LINKS)
    files["journeys/demo/hello.txt"] = "---\nsubject: Hello\n---\nLater? {{ links.later }}\n"
    (problem,) = beside_what_it_leaves_out(check_files(files).problems)
    assert (problem.code, problem.severity) == ("links/no-domain", Severity.WARNING)
    assert (problem.span.line, problem.span.column) == (4, 11)
    files["journeys/catalog.yaml"] += "links: {domain: links.shop.example}\n"
    tests = """
  - name: One that cannot be made up
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    until: 2026-03-01T13:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect: [{at: 1h, send: hello, text_contains: "https://links.shop.example/press/"}]
"""
    holds(database, files, "demo", tests)
    files["journeys/demo/hello.txt"] = "---\nsubject: Hello\n---\nLater? {{ links.latr }}\n"
    (problem,) = beside_what_it_leaves_out(check_files(files).problems)
    assert (problem.code, problem.hint) == ("template/unknown", "Did you mean `later`?")


def test_a_press_that_wants_an_option_says_which() -> None:
    tests = """journey: demo
tests:
  - name: Without
    start: 2026-03-01T10:00:00Z
    events: [{at: 2h, press: later}]
    expect: [{completed: true}]
  - name: With another
    start: 2026-03-01T10:00:00Z
    events: [{at: 2h, press: later, option: 2w}]
    expect: [{completed: true}]
"""
    _, (without, another) = find_scenarios(
        load_project({**project(demo=LINKS), "journeys/demo/tests.yaml": tests})
    )
    assert without.message == "`later` needs an `option`: one of `3d` or `1w`."
    assert another.message == "There is no option `2w`."


PUT_OFF = """
topic: offers
trigger: {event: Trial Started}
entry: {per: trigger.seats, reentry: always}
links:
  another_day: {ask: {run.due: {type: date, min: = today}}, snooze: run.due}
steps:
  - {id: first, update: {run: {due: = trigger.ends}}}
  - {id: day, wait: {until: run.due, at: "09:00", if_missing: exit}}
  - {id: hello, send: email}
  - {id: next, update: {run: {due: '= run.due + days("14d")'}}}
  - {id: next-day, wait: {until: run.due, at: "09:00", if_missing: exit}}
  - {id: again, send: {channel: email, template: hello}}
"""


def test_a_reader_puts_a_message_off_to_a_day_of_their_own(database: Database) -> None:
    """The message comes once more when that day begins where they live, and what counts from it moves; more than once,
    and in one run without the other."""
    tests = """
  - name: This message and the next move, twice
    contact: {consents: [offers], timezone: Asia/Tbilisi}
    start: 2026-03-01T10:00:00+04:00
    events:
      - {at: 0m, event: Trial Started, ends: 2026-03-05, seats: 1}
      - {at: 2026-03-05T12:00, press: another_day, values: {due: 2026-03-08}}
      - {at: 2026-03-08T12:00, press: another_day, values: {due: 2026-03-10}}
    expect:
      - {at: 2026-03-05T09:00, send: hello}
      - {at: 2026-03-08T00:00, send: hello}
      - {at: 2026-03-10T00:00, send: hello}
      - {at: 2026-03-24T09:00, send: again}
      - {at: 2026-03-24T09:00, completed: true}
  - name: A day that is past is not taken, nor is a second press
    contact: {consents: [offers], timezone: Asia/Tbilisi}
    start: 2026-03-01T10:00:00+04:00
    events:
      - {at: 0m, event: Trial Started, ends: 2026-03-05, seats: 1}
      - {at: 2026-03-05T12:00, press: another_day, values: {due: 2026-03-04}}
      - {at: 2026-03-05T13:00, press: another_day, values: {due: 2026-03-08}}
    expect:
      - {at: 2026-03-05T09:00, send: hello}
      - {at: 2026-03-19T09:00, send: again}
      - {at: 2026-03-19T09:00, completed: true}
  - name: Today is at once
    contact: {consents: [offers], timezone: Asia/Tbilisi}
    start: 2026-03-01T10:00:00+04:00
    events:
      - {at: 0m, event: Trial Started, ends: 2026-03-05, seats: 1}
      - {at: 2026-03-06T12:00, press: another_day, values: {due: 2026-03-06}}
    expect:
      - {at: 2026-03-05T09:00, send: hello}
      - {at: 2026-03-06T12:00, send: hello}
      - {at: 2026-03-20T09:00, send: again}
      - {at: 2026-03-20T09:00, completed: true}
  - name: The other run stays as it is
    contact: {consents: [offers], timezone: Asia/Tbilisi}
    start: 2026-03-01T10:00:00+04:00
    events:
      - {at: 0m, event: Trial Started, ends: 2026-03-05, seats: 1}
      - {at: 0m, event: Trial Started, ends: 2026-03-12, seats: 2}
      - {at: 2026-03-12T10:00, press: another_day, of: hello, values: {due: 2026-03-14}}
    expect:
      - {at: 2026-03-05T09:00, send: hello}
      - {at: 2026-03-12T09:00, send: hello}
      - {at: 2026-03-14T00:00, send: hello}
      - {at: 2026-03-19T09:00, send: again}
      - {at: 2026-03-19T09:00, completed: true}
      - {at: 2026-03-28T09:00, send: again}
      - {at: 2026-03-28T09:00, completed: true}
"""
    holds(database, project(demo=PUT_OFF), "demo", tests)


def test_a_link_snoozes_until_a_date_that_it_asks_for() -> None:
    def said(link: str) -> list[tuple[str, str]]:
        text = PUT_OFF.replace("{ask: {run.due: {type: date, min: = today}}, snooze: run.due}", link)
        return [
            (each.code, each.message)
            for each in check_files(project(demo=text)).problems
            if "snooze" in each.code
        ]

    assert said("{ask: {run.due: {type: date, min: = today}}, snooze: run.due}") == []
    assert said("{ask: {run.due: date}, snooze: run.day}") == [
        ("links/snooze", "`run.day` is no date that this link asks for.")
    ]
    assert said("{ask: {run.due: date, run.many: number}, snooze: run.many}") == [
        ("links/snooze", "`run.many` is no date that this link asks for.")
    ]


def test_a_consent_can_be_taken_back_when_the_run_is_over(database: Database) -> None:
    tests = """
  - name: Left after the end
    contact: {consents: [offers, news]}
    start: 2026-03-01T10:00:00Z
    until: 2026-03-04T10:00:00Z
    events:
      - {at: 0m, event: Signed Up}
      - {at: 2h, press: stop}
      - {at: 3h, press: done}
      - {at: 4h, press: no}
      - {at: 5h, press: no}
    expect:
      - {at: 1h, send: hello}
      - {at: 2h, exit: stopped}
"""
    more = LINKS.replace("links:\n", "links:\n  no: {consent: {withdraw: news}}\n")
    holds(database, project(demo=more), "demo", tests)
    proofs = rows(database, consent_log.c.topic, consent_log.c.state, consent_log.c.source)
    assert [source for _, _, source in proofs if source != "scenario"] == ["demo/no"]
