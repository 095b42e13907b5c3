"""Messages that policy surely drops, or never lets go: what the rules about caps and quiet hours find, and what not."""

from __future__ import annotations

import pytest
from policies import failures, files_of, journey

from runner.review.check import check_files
from tests.standard_project import standard_files

CATALOG = """
attributes: {first_name: {type: string}, renewal_date: {type: date}, vip: {type: boolean}}
events: {Signed Up: {}}
topics:
  news: {title: News, opt_in: explicit}
  orders: {title: Your orders, opt_in: none}
channels:
  email: {sender: {name: Shop, address: hello@shop.example}}
  sms: {}
policies:
"""
CODES = ("send/within-cap", "send/window-in-quiet-hours", "wait/in-quiet-hours")
UNTIL = "{id: until, wait: {until: contact.renewal_date, if_past: continue, if_missing: exit}}"
AGAIN = "{id: again, send: {channel: email, template: hello}}"


def found(policies: str, *steps: str) -> list[tuple[str, str]]:
    """What the rules tell of a journey that begins with the send ``hello``: code and message."""
    files = standard_files(
        {
            "journeys/catalog.yaml": f"{CATALOG}  {policies}\n",
            "journeys/demo/journey.yaml": "steps:\n" + "".join(f"  - {step}\n" for step in steps),
        }
    )
    problems = check_files(files).problems
    return [(problem.code, problem.message) for problem in problems if problem.code in CODES]


def capped(cap: str, *steps: str) -> list[str]:
    told = found(f"frequency_cap: [{cap}]", "{id: hello, send: email}", *steps)
    assert {code for code, _ in told} <= {"send/within-cap"}
    return [message for _, message in told]


def test_what_a_cap_surely_drops() -> None:
    dropped = "`again` is dropped by the cap of 1 in 1d: `hello` leaves"
    assert capped("{max: 1, per: 1d}", AGAIN) == [f"{dropped} at the same instant."]
    assert capped("{max: 1, per: 1d}", "{id: pause, wait: 23h}", AGAIN) == [
        f"{dropped} 23h before it at most."
    ]
    event = "{id: pause, wait: {event: Signed Up, up_to: 5h, then: [{id: bye, exit: done}]}}"
    assert capped("{max: 1, per: 1d}", event, AGAIN) == [f"{dropped} 5h before it at most."]


@pytest.mark.parametrize(
    ("cap", "steps"),
    [
        # Exactly `per` after the first its place is free.
        ("{max: 1, per: 1d}", ["{id: pause, wait: 24h}"]),
        # A calendar day may have 25 hours.
        ("{max: 1, per: 1d}", ["{id: pause, wait: 1d}"]),
        ("{max: 1, per: 2d}", ["{id: pause, wait: {for: 1d, at: '10:00'}}"]),
        ("{max: 2, per: 7d}", []),
        ("{max: 1, per: 1d, channel: sms}", []),
        ("{max: 1, per: 1d, topic: orders}", []),
        ("{max: 1, per: 1d, over: defer}", []),
        (
            "{max: 1, per: 7d}",
            [UNTIL],
        ),
        ("{max: 1, per: 1d}", ["{id: when, wait: {event: Signed Up, up_to: {until: contact.renewal_date}}}"]),
    ],
)
def test_what_a_cap_may_let_go(cap: str, steps: list[str]) -> None:
    assert capped(cap, *steps, AGAIN) == []


def test_the_time_in_which_policy_may_keep_the_later_message_counts() -> None:
    window = '{id: again, send: {channel: email, template: hello, window: {from: "10:00", to: "11:00"}}}'
    assert capped("{max: 1, per: 1d}", window) == []
    assert capped("{max: 1, per: 25h}", window) == [
        "`again` is dropped by the cap of 1 in 1d1h: `hello` leaves 1d before it at most."
    ]
    quiet = "frequency_cap: [{max: 1, per: 10h}]\n  quiet_hours: {from: '21:00', to: '08:00'}"
    assert found(quiet, "{id: hello, send: email}", AGAIN) == []


def test_several_messages_are_counted_on_one_way_alone() -> None:
    third = "{id: third, send: {channel: email, template: hello}}"
    assert capped("{max: 2, per: 1d}", "{id: pause, wait: 2h}", AGAIN, third) == [
        "`third` is dropped by the cap of 2 in 1d: `hello` and `again` leave in the 2h before it."
    ]
    cases = f"{{when: contact.vip, name: vip, steps: [{AGAIN}]}}, {{name: rest, else: [{third}]}}"
    either = f"{{id: plan, branch: [{cases}]}}"
    assert capped("{max: 2, per: 1d}", either) == []


def test_a_receipt_counts_nowhere() -> None:
    receipt = "{id: again, send: {channel: email, template: hello, topic: orders}}"
    assert capped("{max: 1, per: 1d}", receipt) == []


def test_what_was_dropped_fills_no_cap() -> None:
    """The third message comes three hours after the second, which the cap dropped, and a day after the first."""
    third = "{id: third, send: {channel: email, template: hello}}"
    steps = ("{id: short, wait: 21h}", AGAIN, "{id: more, wait: 3h}", third)
    assert [message.split("`")[1] for message in capped("{max: 1, per: 1d}", *steps)] == ["again"]


QUIET = 'quiet_hours: {from: "21:00", to: "08:00", channels: [email]}'


@pytest.mark.parametrize(
    ("begins", "ends", "is_found"),
    [
        ("21:00", "08:00", True),
        ("22:00", "23:00", True),
        ("23:00", "01:00", True),
        ("07:00", "08:00", True),
        ("07:00", "08:01", False),
        ("20:59", "22:00", False),
        ("08:00", "21:00", False),
        ("08:00", "08:00", False),
        ("22:00", "21:30", False),
    ],
)
def test_a_window_inside_quiet_hours(begins: str, ends: str, is_found: bool) -> None:
    send = f'{{id: hello, send: {{channel: email, window: {{from: "{begins}", to: "{ends}"}}}}}}'
    assert [code for code, _ in found(QUIET, send)] == ["send/window-in-quiet-hours"] * is_found


def test_a_message_that_keeps_no_quiet_hours_has_its_window() -> None:
    window = 'window: {from: "22:00", to: "23:00"}'
    receipt = f"{{id: hello, send: {{channel: email, topic: orders, ignore_quiet_hours: true, {window}}}}}"
    assert found(QUIET, receipt) == []
    other = f"{{id: hello, send: {{channel: sms, {window}}}}}"
    assert found(QUIET, other) == []


def test_a_wait_that_ends_in_quiet_hours() -> None:
    told = [("wait/in-quiet-hours", "This wait ends in quiet hours: `hello` leaves at 08:00, not at 07:00.")]
    hello = "{id: hello, send: email}"
    wait = "{id: morning, wait: {for: 1d, at: '07:00'}}"
    assert found(QUIET, wait, hello) == told
    assert found(QUIET, wait, "{id: gate, condition: contact.vip}", hello) == told
    assert found(QUIET, wait, "{id: pause, wait: 2h}", hello) == []
    assert found(QUIET, "{id: morning, wait: {for: 1d, at: '08:00'}}", hello) == []
    windowed = '{id: hello, send: {channel: email, window: {from: "11:00", to: "12:00"}}}'
    assert found(QUIET, wait, windowed) == []


# The engine does as the rules say ---------------------------------------------------------------------------------

NIGHT = "quiet_hours: {from: '21:00', to: '08:00'}"
HELLO = "steps:\n  - {id: hello, send: email}\n"
SECOND = "  - {id: second, send: {channel: email}}\n"
LONGEST = {
    "at once": ("frequency_cap: [{max: 1, per: 1h}]", HELLO + SECOND),
    "a wait": ("frequency_cap: [{max: 1, per: 24h}]", HELLO + "  - {id: w, wait: 1430m}\n" + SECOND),
    "a calendar day": ("frequency_cap: [{max: 1, per: 1501m}]", HELLO + "  - {id: w, wait: 1d}\n" + SECOND),
    "an hour of the clock": (
        "frequency_cap: [{max: 1, per: 2941m}]",
        HELLO + "  - {id: w, wait: {for: 23h, at: '10:00'}}\n" + SECOND,
    ),
    "working days": (
        "frequency_cap: [{max: 1, per: 99h}]",
        HELLO + "  - {id: w, wait: {for: 1d, at: '10:00', days: [mon, tue, wed, thu, fri]}}\n" + SECOND,
    ),
    "a time-out": (
        "frequency_cap: [{max: 1, per: 26h}]",
        HELLO + "  - {id: w, wait: {event: Bought, up_to: 1d}}\n" + SECOND,
    ),
    "a night": (
        f"{NIGHT}\nfrequency_cap: [{{max: 1, per: 20h}}]",
        HELLO + "  - {id: w, wait: 7h}\n" + SECOND,
    ),
    "a window": (
        "frequency_cap: [{max: 1, per: 1441m}]",
        HELLO + "  - {id: second, send: {channel: email, window: {from: '10:00', to: '11:00'}}}\n",
    ),
}
"""Caps and the steps between two messages, each just long enough for the rule to be sure."""
STARTS = [f"2026-{day}T{hour}:30" for day in ("03-28", "10-24", "07-03") for hour in ("09", "10", "20")]


@pytest.mark.parametrize("case", LONGEST)
def test_the_engine_drops_what_the_rule_is_sure_of(case: str) -> None:
    """Over changes of the clock, at night and in the morning."""
    policies, steps = LONGEST[case]
    files = files_of(policies, {"demo": journey(steps)})
    assert "send/within-cap" in {problem.code for problem in check_files(files).problems}
    tests = "".join(
        f"""
        - name: from {start}
          contact: {{consents: [offers]}}
          start: {start}
          events: [{{at: 0m, event: Signed Up}}]
          until: 9d
          expect: [{{send: hello}}, {{send: second, blocked: frequency_cap}}]
        """
        for start in STARTS
    )
    assert not failures(tests, steps, policies=policies)
