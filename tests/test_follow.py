"""A journey changes under people who follow into its new version: what each of them then gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from runner.cli.story import contact_json, contact_text
from runner.engine.enrolling import enrolling
from runner.engine.pausing import pause_journey, resume_journey
from runner.engine.versions import load_versions
from runner.insight.status import read_status
from runner.insight.step_names import names_in_force
from runner.problem import JourneysError, ProblemsFound
from runner.store.database import Database
from runner.store.people.contacts import find_contact
from runner.store.sending.pools import import_values
from runner.store.tables import step_log
from runner.store.watching.story import story
from tests.followed import DAY, HOUR, Tour, files, sends, wait
from tests.shop import CATALOG, START, Shop

TWO = sends("hello") + wait("pause", "2d") + sends("again")


def test_whoever_stays_in_the_old_version_is_not_touched(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, TWO)
    tour.enter("ana")
    tour.change(sends("hello") + wait("pause", "1d") + sends("other"), START + HOUR, head="")
    tour.until(START + 5 * DAY)
    assert tour.got() == [("hello", 0), ("again", 48)]


@pytest.mark.parametrize(
    ("timers", "length", "expected"),
    [
        ("keep", "1d", 48),
        ("keep", "5d", 48),
        ("recompute", "1d", 24),
        ("recompute", "5d", 120),
        ("restart", "1d", 30),
        ("restart", "5d", 126),
    ],
)
def test_a_wait_is_shortened_or_lengthened_under_somebody(
    database: Database, timers: str, length: str, expected: int
) -> None:
    tour = Tour(database, TWO)
    tour.enter("ana")
    tour.change(
        sends("hello") + wait("pause", length) + sends("again"),
        START + 6 * HOUR,
        head=f"in_flight: follow\ntimers: {timers}",
    )
    tour.until(START + 20 * DAY)
    assert tour.got() == [("hello", 0), ("again", expected)]


def test_whose_time_is_up_through_it_goes_on_at_a_limited_rate(database: Database) -> None:
    tour = Tour(database, wait("pause", "10d") + sends("again"))
    names = [f"p{place}" for place in range(4)]
    for place, name in enumerate(names):
        tour.enter(name, at=START + place * HOUR)
    at = START + 5 * DAY
    crossed = tour.change(
        wait("pause", "1d") + sends("again"), at, head="in_flight: follow\ntimers: recompute", per_minute=2
    )
    assert (crossed.carried, crossed.overdue) == (4, 4)
    tour.until(START + 30 * DAY)
    came = [tour.got(name)[0][1] - 120 for name in names]
    assert came == pytest.approx([0, 30 / 3600, 60 / 3600, 90 / 3600])


def test_the_same_step_carries_people_over_wherever_it_stands_by_now(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, TWO)
    tour.enter("ana")
    nested = (
        "  - id: which\n    branch:\n      - {name: pro, when: 'trigger.plan == \"pro\"', steps: "
        "[{id: first, send: {channel: email, template: hello}}, {id: pause, wait: 9d}, "
        "{id: inside, send: {channel: email, template: hello}}]}\n      - {else: [{id: other, wait: 1d}]}\n"
    )
    tour.change(nested + sends("again"), START + HOUR)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("again", 48), ("inside", 48)]


def test_a_step_that_is_removed_sends_people_where_moved_says(database: Database) -> None:
    tour = Tour(database, TWO + wait("late", "1d"))
    tour.enter("ana")
    moved = "in_flight: follow\nmoved: {pause: rest, again: {exit: superseded}}"
    crossed = tour.change(sends("hello") + wait("rest", "9d") + sends("more"), START + HOUR, head=moved)
    assert (crossed.carried, crossed.moved, crossed.left) == (0, 1, 0)
    assert tour.where() == ("rest", None, 48)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("more", 48)]


def test_moved_may_end_runs(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, TWO)
    tour.enter("ana", "ben")
    crossed = tour.change(
        sends("hello"), START + HOUR, head="in_flight: follow\nmoved: {pause: {exit: superseded}}"
    )
    assert crossed.left == 2
    assert tour.where() == (None, "superseded", None)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        (sends("hello", "again"), "which is gone"),
        (wait("pause", "{event: Left, up_to: 1d}"), "which is of another kind now"),
    ],
    ids=["removed", "retyped"],
)
def test_nobody_is_left_behind(sqlite_database: Database, steps: str, why: str) -> None:
    tour = Tour(sqlite_database, TWO)
    tour.enter("ana", "ben")
    before = tour.where()
    with pytest.raises(ProblemsFound) as raised:
        tour.change(steps, START + HOUR)
    (problem,) = raised.value.problems
    assert problem.message == f"2 people stand at `pause` of `tour`, {why}."
    assert "moved: {pause: STEP}" in (problem.hint or "")
    assert tour.where() == before
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("again", 48)]


def test_a_step_without_people_may_go(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, TWO)
    tour.enter("ana")
    tour.change(sends("hello") + wait("pause", "2d") + sends("other"), START + HOUR)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("other", 48)]


def test_what_was_sent_is_passed_over_where_it_comes_again(database: Database) -> None:
    tour = Tour(database, sends("hello") + wait("pause", "2d") + sends("again"))
    tour.enter("ana")
    tour.change(
        wait("pause", "2d") + sends("hello", "again") + wait("rest", "1d") + sends("last"), START + HOUR
    )
    tour.enter("ben", at=START + 2 * HOUR)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("again", 48), ("last", 72)]
    assert tour.got("ben") == [("again", 50), ("hello", 50), ("last", 74)]


def test_what_was_sent_under_another_name_is_passed_over_too(database: Database) -> None:
    tour = Tour(database, TWO)
    tour.enter("ana")
    head = "in_flight: follow\nmoved: {hello: welcome}"
    asks = "  - {id: asked, condition: 'sent(\"welcome\")'}\n"
    tour.change(wait("pause", "2d") + sends("welcome") + asks + sends("again"), START + HOUR, head=head)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("again", 48)]


def test_with_policies_what_was_sent_is_passed_over_too(database: Database) -> None:
    window = ", window: {from: 10:00, to: 20:00}"
    quiet = sends("hello").replace("template: hello", f"template: hello{window}")
    tour = Tour(database, quiet + wait("pause", "2d"))
    tour.enter("ana")
    assert tour.got() == [("hello", 0)]
    tour.change(wait("pause", "2d") + quiet + sends("again"), START + HOUR)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("again", 48)]


def test_people_who_follow_twice_and_back(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, TWO)
    tour.enter("ana")
    other = sends("hello") + wait("pause", "2d") + wait("rest", "1d") + sends("again")
    assert last_told(tour) == "tour: stands on pause until 2026-03-03 10:00:00"
    tour.change(other, START + HOUR)
    (version,) = (each.in_force.version for each in read_status(tour.database).journeys if each.in_force)
    told = f"tour: stands on pause until 2026-03-03 10:00:00; carried over into version {version[:12]}"
    told += " at 2026-03-01 11:00:00"
    assert last_told(tour) == told
    tour.change(TWO, START + 2 * HOUR)
    assert tour.where() == ("pause", None, 48)
    tour.change(other, START + 3 * HOUR)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("again", 72)]
    told = f"tour: completed; carried over 3 times, last into version {version[:12]}"
    told += " at 2026-03-01 13:00:00"
    assert last_told(tour) == told


def test_a_story_tells_what_renamed_steps_are_called_today(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, TWO)
    tour.enter("ana")
    renamed = "in_flight: follow\nmoved: {pause: rest, hello: welcome}"
    tour.change(sends("welcome") + wait("rest", "2d") + sends("again"), START + HOUR, head=renamed)
    told, rows = page(tour)
    assert any("tour: hello (now welcome) → message by email" in line for line in told)
    assert [(row["step"], row["step_now"]) for row in rows if "step" in row] == [
        ("hello", "welcome"),
        ("rest", "rest"),
    ]


def page(tour: Tour) -> tuple[list[str], list[dict[str, Any]]]:
    """Ana's page, and her story as programs are told it."""
    names = names_in_force(tour.database, tour.versions)
    with tour.database.read() as connection:
        found, entries = find_contact(connection, tour.database.deployment, "ana"), story(connection, "ana")
    assert found
    rows = contact_json(found, [], [], entries, tour.catalog, names)["story"]
    return contact_text(found, [], [], entries, tour.catalog, names).splitlines(), rows


def last_told(tour: Tour) -> str:
    """The last line of ana's page, without its instant; programs are told the same."""
    lines, rows = page(tour)
    told, last = lines[-1].split("  ")[2], rows[-1]
    assert last.get("version", "")[:12] in told
    assert (last.get("carried", 0) > 0) is ("carried over" in told)
    return told


def test_versions_before_the_last_follow_too(database: Database) -> None:
    tour = Tour(database, TWO)
    tour.enter("ana")
    tour.change(TWO + sends("second"), START + HOUR, head="")
    tour.enter("ben", at=START + 2 * HOUR)
    crossed = tour.change(TWO + sends("third"), START + 3 * HOUR)
    assert crossed.carried == 2
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("again", 48), ("third", 48)]
    assert tour.got("ben") == [("hello", 2), ("again", 50), ("third", 50)]


def test_a_wait_for_an_event_goes_on_hearing(sqlite_database: Database) -> None:
    hears = "  - {id: heard, wait: {event: Left, up_to: 3d, then: [{id: bye, exit: left}]}}\n"
    tour = Tour(sqlite_database, hears + sends("still"))
    tour.enter("ana", "ben")
    crossed = tour.change(sends("before") + hears + sends("there"), START + HOUR)
    assert crossed.carried == 2
    tour.arrive([tour.event("ben", "Left", START + 2 * HOUR)])
    tour.until(START + 9 * DAY)
    assert tour.got() == [("there", 72)]
    assert tour.where("ben")[1] == "left"


def test_a_condition_that_is_true_by_the_new_version_lets_people_go_on(database: Database) -> None:
    def waits(condition: str) -> str:
        return wait("turned", f"{{when: '{condition}', up_to: 30d}}") + sends("then")

    tour = Tour(database, waits('trigger.plan == "basic"'))
    tour.enter("ana")
    tour.change(waits('trigger.plan == "pro"'), START + HOUR)
    tour.until(START + HOUR)
    assert tour.got() == [("then", 1)]


def test_an_exit_condition_of_the_new_version_is_read_for_all(database: Database) -> None:
    tour = Tour(database, TWO)
    tour.enter("ana")
    head = "in_flight: follow\nexit: [{when: 'trigger.plan == \"pro\"', reason: pro}]"
    tour.change(TWO, START + HOUR, head=head)
    tour.until(START + HOUR)
    assert tour.where() == (None, "pro", None)


@pytest.mark.parametrize(("if_past", "expected"), [("continue", [("then", 2)]), ("exit", [])])
def test_a_date_that_is_past_by_the_new_version(
    database: Database, if_past: str, expected: list[tuple[str, float]]
) -> None:
    def until(offset: str) -> str:
        text = f"{{until: contact.born, offset: {offset}, if_past: {if_past}, if_missing: continue}}"
        return wait("day", text) + sends("then")

    tour = Tour(database, until("0d"))
    tour.identify("ana", START, born="2026-03-20")
    tour.arrive([tour.event("ana", "Signed Up", START, plan="pro")])
    tour.change(until("-19d"), START + 2 * HOUR, head="in_flight: follow\ntimers: recompute")
    tour.until(START + 40 * DAY)
    assert tour.got() == expected
    assert tour.where()[1] == (None if expected else "past")


def test_what_is_collected_is_kept_and_the_time_too(database: Database) -> None:
    def collects(length: str) -> str:
        return wait("gather", f"{{collect: Left, for: {length}, save_as: seen}}") + sends("then")

    tour = Tour(database, collects("2d"))
    tour.enter("ana")
    tour.arrive([tour.event("ana", "Left", START + HOUR)])
    tour.change(collects("9d"), START + 2 * HOUR)
    tour.arrive([tour.event("ana", "Left", START + 3 * HOUR)])
    tour.until(START + 20 * DAY)
    assert tour.got() == [("then", 48)]
    assert len(tour.data()["seen"]) == 2


def test_a_send_at_which_somebody_stands_is_decided_about_as_the_new_version_says(
    sqlite_database: Database,
) -> None:
    def at(begins: str) -> str:
        ends = f"{int(begins[:2]) + 1}:00"
        text = f"template: hello, window: {{from: '{begins}', to: '{ends}'}}"
        return sends("hello").replace("template: hello", text)

    tour = Tour(sqlite_database, at("20:00"))  # 14:00 in Tbilisi at the start
    tour.enter("ana")
    assert tour.where() == ("hello", None, 6)
    tour.change(at("22:00"), START + HOUR)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 8)]


def test_retired_and_left_or_finished(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, TWO)
    tour.enter("ana")
    crossed = tour.change(TWO, START + HOUR, head="retired: finish")
    assert crossed.left == 0
    tour.enter("ben", at=START + 2 * HOUR)
    assert tour.got("ben") == []
    crossed = tour.change(TWO, START + 3 * HOUR, head="retired: exit")
    assert crossed.left == 1
    assert tour.where() == (None, "retired", None)


ASKING = CATALOG + "  crm: {uses: file}\n"


def hands_off(name: str, sla: str = "2d") -> str:
    return (
        f"  - id: {name}\n    hand_off: {{to: sales, sla: {sla}, channel: crm,"
        " accepted: [{id: yes, exit: accepted}], rejected: [{id: no, exit: rejected}]}\n"
    )


def test_who_stands_at_a_task_hears_its_answer_under_the_old_name(database: Database) -> None:
    tour = Tour(database, hands_off("task"), catalog=ASKING)
    tour.enter("ana", "ben")
    head = "in_flight: follow\nmoved: {task: asked}\ntimers: recompute"
    tour.change(hands_off("asked", "1d") + sends("late"), START + HOUR, head=head)
    answer = tour.event("ana", "Task Accepted", START + 2 * HOUR)
    tour.arrive([replace(answer, properties={"run": 1_000_000, "step": "task"})])
    tour.until(START + 5 * DAY)
    assert tour.where()[1] == "accepted"
    assert tour.got("ben") == [("late", 24)]
    tasks = [name for name, row in tour.messages() if row.kind == "task"]
    assert tasks == ["ana/task", "ben/task"]


def test_a_task_that_somebody_has_behind_them_is_not_asked_for_again(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, hands_off("task", "1d") + wait("pause", "3d"), catalog=ASKING)
    tour.enter("ana")
    tour.until(START + 2 * DAY)
    tour.change(wait("pause", "3d") + hands_off("task", "1d") + sends("late"), START + 2 * DAY)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("late", 96)]
    assert [name for name, row in tour.messages() if row.kind == "task"] == ["ana/task"]


def test_arms_outlive_the_name_of_their_split(database: Database) -> None:
    def splits(name: str) -> str:
        arms = ", ".join(
            f"{{name: {arm}, percent: 50, steps: [{{id: {arm}-{name}, send: {{channel: email, template: hello}}}}]}}"
            for arm in ("a", "b")
        )
        return f"  - id: {name}\n    split: {{arms: [{arms}]}}\n"

    tour = Tour(database, splits("one") + wait("pause", "1d"))
    names = [f"p{place}" for place in range(12)]
    tour.enter(*names)
    head = "in_flight: follow\nmoved: {one: two}"
    tour.change(wait("pause", "1d") + splits("two"), START + HOUR, head=head)
    tour.until(START + 9 * DAY)
    arms = {tuple(step[0] for step, _ in tour.got(name)) for name in names}
    assert arms == {("a", "a"), ("b", "b")}


def test_who_leaves_has_what_is_ready_cancelled_and_other_journeys_hear_of_it(database: Database) -> None:
    tour = Tour(database, TWO)
    tour.enter("ana")
    tree = dict(files(sends("hello"), "in_flight: follow\nmoved: {pause: {exit: superseded}}"))
    tree["journeys/after/journey.yaml"] = (
        "journey: after\nlanguage: 1\ntitle: After\ntopic: offers\n"
        "trigger: {journey: tour, outcome: superseded}\nsteps:\n" + sends("hello")
    )
    tree["journeys/after/hello.txt"] = "---\nsubject: Hello\n---\nHello\n"
    tour.change_to(tree, START)
    tour.until(START + HOUR)
    found = [(row.journey, row.status, row.reason) for _, row in tour.messages()]
    assert found == [("after", "ready", None), ("tour", "cancelled", "superseded")]


def test_every_step_that_somebody_leaves_is_written_down_once_in_each_version(
    sqlite_database: Database,
) -> None:
    tour = Tour(sqlite_database, sends("hello") + wait("pause", "1d") + wait("rest", "1d"))
    tour.enter("ana")
    tour.until(START + 30 * HOUR)
    tour.change(wait("rest", "1d") + sends("hello") + wait("pause", "1d"), START + 31 * HOUR)
    tour.until(START + 9 * DAY)
    with sqlite_database.read() as connection:
        left = connection.execute(
            select(step_log.c.step, step_log.c.outcome).order_by(step_log.c.at, step_log.c.node)
        ).all()
    assert left == [
        ("hello", "ready"),
        ("pause", "elapsed"),
        ("rest", "elapsed"),
        ("hello", "already_sent"),
        ("pause", "elapsed"),
    ]
    assert tour.where() == (None, None, None)


def test_who_is_held_by_a_pause_follows_and_goes_on_when_it_ends(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, TWO)
    tour.enter("ana")
    pause_journey(sqlite_database, "tour", now=START + HOUR, who="tests")
    tour.versions = load_versions(sqlite_database, tour.versions)
    tour.until(START + 3 * DAY)
    assert tour.got() == [("hello", 0)]
    tour.change(sends("hello") + wait("pause", "2d") + sends("other"), START + 3 * DAY)
    tour.until(START + 4 * DAY)
    assert tour.got() == [("hello", 0)]
    resume_journey(sqlite_database, "tour", now=START + 4 * DAY, who="tests")
    tour.versions = load_versions(sqlite_database, tour.versions)
    tour.until(START + 5 * DAY)
    assert tour.got() == [("hello", 0), ("other", 96)]


def test_a_value_that_was_drawn_stays_under_the_new_name_and_is_given_to_nobody_else(
    database: Database,
) -> None:
    def draws(name: str) -> str:
        none = f"[{{id: none-{name}, exit: none-left}}]"
        return f"  - {{id: {name}, draw: {{pool: vouchers, save_as: code, if_empty: {none}}}}}\n"

    catalog = CATALOG + "pools:\n  vouchers: {file: vouchers.csv}\n"
    tour = Tour(database, draws("voucher") + sends("hello") + wait("pause", "1d"), catalog=catalog)
    with database.begin() as connection:
        import_values(connection, "vouchers", ["A1"])
    tour.enter("ana")
    head = "in_flight: follow\nmoved: {voucher: code}"
    tour.change(wait("pause", "1d") + draws("code") + sends("other"), START + HOUR, head=head)
    tour.until(START + 2 * DAY)
    assert tour.got() == [("hello", 0), ("other", 24)]
    assert tour.data() == {"code": "A1"}
    tour.enter("ben", at=START + 2 * DAY)
    tour.until(START + 9 * DAY)
    assert tour.where("ben")[1] == "none-left"


def test_what_was_opened_under_the_old_name_was_opened(database: Database) -> None:
    tour = Tour(database, TWO)
    tour.enter("ana", "ben")
    opened = tour.event("ana", "Message Opened", START + HOUR)
    properties = {"run": 1_000_000, "step": "hello", "journey": "tour", "bot": False}
    tour.arrive([replace(opened, properties=properties)])
    asks = "  - {id: asked, condition: 'opened(\"welcome\")'}\n"
    head = "in_flight: follow\nmoved: {hello: welcome}"
    tour.change(sends("welcome") + wait("pause", "2d") + asks + sends("again"), START + 2 * HOUR, head=head)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("again", 48)]
    assert tour.got("ben") == [("hello", 0)]


def test_a_message_that_its_reader_put_off_comes_in_the_new_version(sqlite_database: Database) -> None:
    links = "links: {later: {snooze: [1d]}}"
    catalog = CATALOG + "links: {domain: links.shop.example}\n"
    tour = Tour(sqlite_database, sends("hello") + wait("pause", "9d"), links, catalog=catalog)
    tour.enter("ana")
    pressed = tour.event("ana", "Link Pressed", START + HOUR)
    properties = {"run": 1_000_000, "step": "hello", "visit": 1_000_000, "link": "later", "option": "1d"}
    tour.arrive([replace(pressed, properties=properties)])
    tour.until(START + 2 * HOUR)
    assert tour.where() == ("hello", None, 25)
    head = f"in_flight: follow\nmoved: {{hello: welcome}}\n{links}"
    tour.change(sends("welcome") + wait("pause", "9d"), START + 3 * HOUR, head=head)
    assert tour.where() == ("welcome", None, 25)
    tour.until(START + 2 * DAY)
    assert tour.got() == [("hello", 0), ("welcome", 25)]


def test_an_answer_that_the_new_version_does_not_know_is_no_answer(sqlite_database: Database) -> None:
    """Somebody is held by a pause with what they have heard, and the new version waits for something else."""

    def waits(event: str) -> str:
        return (
            f"  - id: any\n    wait: {{any: [{{name: {event.lower()}, event: {event},"
            " then: [{id: bye, exit: heard}]},"
            " {name: never, when: contact.vip, then: []}], up_to: 2d}\n"
        )

    tour = Tour(sqlite_database, waits("Left") + sends("late"))
    tour.enter("ana")
    pause_journey(sqlite_database, "tour", now=START, who="tests")
    tour.versions = load_versions(sqlite_database, tour.versions)
    tour.arrive([tour.event("ana", "Left", START + HOUR)])
    tour.until(START + HOUR)
    tour.change(waits("Left").replace("name: left", "name: gone") + sends("late"), START + 2 * HOUR)
    resume_journey(sqlite_database, "tour", now=START + 3 * HOUR, who="tests")
    tour.versions = load_versions(sqlite_database, tour.versions)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("late", 3)]


def test_nobody_is_enrolled_into_a_journey_that_is_retired(sqlite_database: Database) -> None:
    tree = dict(files(TWO, "retired: finish"))
    path = "journeys/tour/journey.yaml"
    tree[path] = tree[path].replace("{event: Signed Up}", "{manual: true}")
    with pytest.raises(JourneysError, match="`tour` is retired: nobody enters any more"):
        enrolling(Shop(sqlite_database, tree).versions, "tour")
