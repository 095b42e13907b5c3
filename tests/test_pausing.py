"""A journey is paused and resumed while it runs: nobody goes on meanwhile, and nobody is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from waiting import until

from channels.base import Answer, Message, RetryLater, Sent
from runner.engine.apply import apply_project
from runner.engine.aside import resume_runs
from runner.engine.deliver import deliver
from runner.engine.pausing import Said, pause_journey, resume_journey, stop_journey
from runner.engine.presses import press
from runner.engine.tick import LIVE, tick
from runner.engine.versions import load_versions
from runner.journey.catalog import ASKED_BY_CALL, IDENTIFIED
from runner.journey.fit import fit_traits
from runner.journey.project import load_project
from runner.problem import JourneysError
from runner.store.audit import records
from runner.store.database import Database
from runner.store.journeys.states import NEVER
from runner.store.tables import conversion, event, run, step_log
from runner.store.work.aside import runs_set_aside
from tests.followed import Tour, wait
from tests.living import living
from tests.paused import COURT, DATED, DAY, HOUR, MINUTE, OTHER, Paused, files
from tests.shop import START, Sink


@pytest.fixture
def courting(database: Database) -> Paused:
    """Ana and Bea signed up, were greeted, and are waited for to buy."""
    paused = Paused(database, court=COURT, other=OTHER)
    paused.shop.sign_up("ana", "bea")
    paused.until(START)
    assert paused.sink.contacts == ["ana", "bea"]
    return paused


def test_nobody_enters_a_paused_journey_not_even_later(courting: Paused) -> None:
    courting.pause(START + HOUR)
    courting.shop.sign_up("cleo", at=START + 2 * HOUR)
    courting.until(START + 2 * HOUR)
    # Received in the pause, though handled after it: the daemon was away.
    courting.shop.identify("dina")
    courting.shop.arrive([courting.shop.event("dina", "Signed Up", START + 3 * HOUR)])
    with courting.database.begin() as connection:
        connection.execute(update(event).values(received_at=START + 3 * HOUR).where(event.c.pending))
    courting.resume(START + 4 * HOUR)
    courting.until(START + 5 * HOUR)
    assert set(courting.runs()) == {"ana", "bea"}
    courting.happens("cleo", "Signed Up", START + 6 * HOUR)
    assert set(courting.runs()) == {"ana", "bea", "cleo"}


def test_a_timer_that_is_over_in_a_pause_goes_on_after_it(courting: Paused) -> None:
    courting.pause(START + HOUR)
    courting.until(START + 2 * DAY)
    assert courting.runs() == {"ana": ("bought", None), "bea": ("bought", None)}
    assert courting.sink.contacts == ["ana", "bea"]
    courting.resume(START + 3 * DAY)
    courting.until(START + 3 * DAY + MINUTE)
    assert sorted(courting.sink.contacts) == ["ana", "ana", "bea", "bea"]
    assert courting.runs() == {"ana": ("completed", None), "bea": ("completed", None)}


def test_a_timer_that_is_over_after_the_pause_is_not_moved(courting: Paused) -> None:
    courting.pause(START + HOUR)
    courting.until(START + 2 * HOUR)
    courting.resume(START + 3 * HOUR)
    assert courting.row("ana").due_at == START + DAY


def test_who_hears_what_they_wait_for_in_a_pause_goes_on_by_it_afterwards(courting: Paused) -> None:
    courting.pause(START + HOUR)
    courting.happens("ana", "Bought", START + 2 * HOUR, total=5)
    courting.happens("ana", "Bought", START + 3 * HOUR, total=9)
    assert courting.runs()["ana"] == ("bought", None)
    # The time-out was over before she bought: all the same she bought, and is not to be asked again.
    courting.until(START + 2 * DAY)
    courting.happens("bea", "Bought", START + 2 * DAY + HOUR, total=7)
    assert courting.runs()["bea"] == ("bought", None)
    courting.resume(START + 3 * DAY)
    courting.until(START + 3 * DAY + MINUTE)
    assert courting.runs() == {"ana": ("exited", "happy"), "bea": ("exited", "happy")}
    assert [courting.row(key).data["order"]["total"] for key in ("ana", "bea")] == [5_000_000, 7_000_000]
    thanks = [step for step, _, _ in courting.outcomes()]
    assert (thanks.count("thanks"), thanks.count("again")) == (2, 0)


def test_goals_count_and_exits_end_in_a_pause(courting: Paused) -> None:
    courting.pause(START + HOUR)
    courting.happens("ana", "Bought", START + 2 * HOUR)
    with courting.database.read() as connection:
        assert len(connection.execute(select(conversion)).all()) == 1
    courting.happens("ana", "Left", START + 3 * HOUR)
    courting.shop.identify("bea", START + 4 * HOUR, vip=True)
    courting.happens("bea", "Signed Up", START + 5 * HOUR)
    assert courting.runs() == {"ana": ("exited", "left"), "bea": ("exited", "vip")}
    courting.resume(START + DAY)
    courting.until(START + 2 * DAY)
    assert courting.runs() == {"ana": ("exited", "left"), "bea": ("exited", "vip")}


def test_other_journeys_of_the_same_people_go_on(courting: Paused) -> None:
    courting.pause(START + HOUR)
    courting.happens("ana", "Bought", START + 2 * HOUR)
    assert courting.sink.contacts == ["ana", "bea", "ana"]


def test_a_date_that_moves_in_a_pause_moves_the_wait(database: Database) -> None:
    paused = Paused(database, dated=DATED)
    for key, born in (("ana", "2026-03-03"), ("bea", "2026-03-03"), ("cleo", "2026-03-03")):
        paused.shop.identify(key, born=born)
    paused.shop.arrive(paused.shop.event(key, "Signed Up") for key in ("ana", "bea", "cleo"))
    paused.until(START)
    paused.pause(START + HOUR, "dated")
    changes = [("ana", "2026-03-20", START + 5 * DAY), ("cleo", "2026-02-01", START + 2 * HOUR)]
    for key, born, at in sorted(changes, key=lambda one: one[2]):
        identify(paused, key, at, born=born)
    paused.until(START + 6 * DAY)
    assert {step for step, _ in paused.runs("dated").values()} == {"birthday"}
    paused.resume(START + 7 * DAY, "dated")
    paused.until(START + 7 * DAY + MINUTE)
    # Bea's day was in the pause; Ana's is still to come; Cleo's moved into the past, which ends her run.
    assert paused.runs("dated") == {
        "ana": ("birthday", None),
        "bea": ("completed", None),
        "cleo": ("exited", "past"),
    }
    assert paused.sink.contacts == ["bea"]


def signs_up_unheard(paused: Paused, key: str, at: datetime) -> None:
    """Somebody signs up while the daemon is away."""
    paused.shop.identify(key, at)
    paused.shop.arrive([paused.shop.event(key, "Signed Up", at)])
    with paused.database.begin() as connection:
        connection.execute(update(event).values(received_at=at).where(event.c.pending))


def test_a_pause_between_two_looks_of_a_daemon_is_noticed(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, court=COURT)
    paused.pause(START + HOUR)
    signs_up_unheard(paused, "cleo", START + 2 * HOUR)
    paused.resume(START + 3 * HOUR)
    # A daemon reads anew what is in force where a tick says that it has changed.
    assert tick(sqlite_database, paused.shop.versions, START + 3 * HOUR, LIVE).outdated
    paused.until(START + 3 * HOUR)
    assert paused.runs() == {}


def test_a_retirement_between_two_looks_of_a_daemon_is_noticed(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, court=COURT)
    ended = COURT.replace("steps:", "retired: finish\nsteps:")
    for hours, text in ((1, ended), (3, COURT)):
        project = load_project(files(court=text))
        apply_project(sqlite_database, project, now=START + hours * HOUR, author="tests", git_commit=None)
        if text is ended:
            signs_up_unheard(paused, "cleo", START + 2 * HOUR)
    assert tick(sqlite_database, paused.shop.versions, START + 3 * HOUR, LIVE).outdated
    paused.until(START + 3 * HOUR)
    assert paused.runs() == {}


def test_what_is_ready_is_kept_back_until_the_journey_is_resumed(database: Database) -> None:
    paused = Paused(database, court=COURT)
    paused.shop.sign_up("ana", "bea")
    done = pause_journey(database, "court", now=START, who="tests")
    assert (done.runs, done.messages) == (2, 2)
    paused.until(START + HOUR)
    assert paused.sink.messages == []
    paused.resume(START + HOUR)
    paused.until(START + HOUR + MINUTE)
    assert paused.sink.contacts == ["ana", "bea"]


def test_what_is_ready_for_longer_than_it_is_valid_is_blocked(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, court=COURT)
    paused.shop.sign_up("ana")
    paused.pause(START)
    paused.resume(START + 7 * HOUR)
    paused.until(START + 7 * HOUR + MINUTE)
    assert paused.sink.messages == []
    assert paused.shop.ledger()["ana/hello"].reason == "expired"


def test_what_is_claimed_when_the_pause_comes_is_not_begun(database: Database) -> None:
    paused = Paused(database, court=COURT)
    paused.shop.sign_up("ana", "bea", "cleo")

    def pause(message: Message) -> None:
        if len(paused.sink.messages) == 1:
            paused.pause(START)

    paused.sink.on_send = pause
    paused.until(START)
    # What was being handed over has left; the rest had been claimed.
    assert paused.sink.contacts == ["ana"]
    assert paused.shop.statuses() == {"ana/hello": "sent", "bea/hello": "ready", "cleo/hello": "ready"}
    paused.until(START + HOUR)
    assert paused.sink.contacts == ["ana"]
    paused.resume(START + HOUR)
    paused.until(START + HOUR + MINUTE)
    assert paused.sink.contacts == ["ana", "bea", "cleo"]


def test_what_comes_back_in_a_pause_waits_too(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, court=COURT)
    paused.sink.answers["ana"] = RetryLater("busy", MINUTE)
    paused.sink.on_send = lambda message: paused.pause(START)
    paused.shop.sign_up("ana")
    paused.until(START)
    paused.sink.answers.clear()
    paused.until(START + HOUR)
    assert paused.sink.contacts == ["ana"]
    assert paused.shop.ledger()["ana/hello"].available_at == NEVER
    paused.resume(START + HOUR)
    paused.until(START + HOUR + MINUTE)
    assert paused.sink.contacts == ["ana", "ana"]


def test_what_became_overdue_is_released_at_a_limited_rate(database: Database) -> None:
    paused = Paused(database, court=COURT)
    keys = [f"p{number:02}" for number in range(20)]
    paused.shop.sign_up(*keys)
    paused.until(START)
    paused.pause(START + HOUR)
    paused.until(START + 2 * DAY)
    done = resume_journey(database, "court", now=START + 3 * DAY, who="tests", per_minute=10)
    assert (done.runs, done.until) == (20, START + 3 * DAY + timedelta(seconds=19 * 6))
    left = []
    for minute in (0, 1, 2):
        paused.until(START + 3 * DAY + minute * MINUTE)
        left.append(len(paused.sink.messages) - 20)
    assert left == [1, 11, 20]
    assert sorted(paused.sink.contacts) == sorted(keys * 2)


def test_what_several_commands_release_comes_by_one_rate(database: Database) -> None:
    """Two journeys are resumed: first the messages that were kept back, later the people whose time was up."""
    names = ("court", "second")
    paused = Paused(database, court=COURT, second=COURT.replace("journey: court", "journey: second"))
    paused.shop.sign_up("ana", "bea", "cleo")

    def stop_and_go(pause_at: datetime, at: datetime) -> list[float]:
        """The seconds after ``at`` by which the last of each journey goes on, and those at which messages leave."""
        for name in names:
            paused.pause(pause_at, name)
        paused.until(at - MINUTE)
        told = [
            resume_journey(database, name, now=at + timedelta(seconds=place), who="tests", per_minute=10)
            for place, name in enumerate(names)
        ]
        seconds = [(done.until - at).total_seconds() for done in told if done.until]
        left = []
        for second in (1, 13, 17, 19, 31):
            before = len(paused.sink.messages)
            paused.until(at + timedelta(seconds=second))
            left.append(len(paused.sink.messages) - before)
        assert left == [1, 2, 0, 1, 2]
        return seconds

    assert stop_and_go(START, START + HOUR) == [12, 30]
    assert stop_and_go(START + 2 * HOUR, START + 3 * DAY) == [12, 30]


def test_who_is_held_before_decisions_within_decisions_goes_on(sqlite_database: Database) -> None:
    """Some steps of a program are only ever passed together with the one before."""
    steps = (
        wait("rest", "1d")
        + "  - {id: pro, condition: 'trigger.plan == \"pro\"'}\n"
        + "  - id: many\n    branch:\n"
        + "      - {name: many, when: trigger.seats > 2, steps: [{id: out, exit: many}]}\n"
        + "      - {name: few, else: []}\n"
    )
    tour = Tour(sqlite_database, steps)
    tour.enter("ana")
    pause_journey(sqlite_database, "tour", now=START + HOUR, who="tests")
    tour.versions = load_versions(sqlite_database, tour.versions)
    tour.until(START + 2 * DAY)
    resume_journey(sqlite_database, "tour", now=START + 2 * DAY, who="tests")
    tour.versions = load_versions(sqlite_database, tour.versions)
    tour.until(START + 2 * DAY)
    assert tour.where()[1] == "many"


def test_what_has_come_true_in_a_pause_and_still_is_counts_once(database: Database) -> None:
    turned = wait("turned", '{when: \'did("Left", within="48h")\', up_to: 9d, then: [{id: out, exit: gone}]}')
    tour = Tour(database, turned, "in_flight: follow")
    tour.enter("ana")
    pause_journey(database, "tour", now=START + HOUR, who="tests")
    tour.versions = load_versions(database, tour.versions)
    tour.arrive([tour.event("ana", "Left", START + 2 * HOUR)])
    tour.until(START + 3 * HOUR)
    resume_journey(database, "tour", now=START + 4 * HOUR, who="tests")
    tour.versions = load_versions(database, tour.versions)
    tour.until(START + 4 * HOUR)
    assert tour.where()[1] == "gone"
    with database.read() as connection:
        left = connection.execute(select(step_log.c.step)).scalars().all()
    assert sorted(left) == ["out", "turned"]


def test_a_second_pause_holds_those_who_were_not_released_yet(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, court=COURT)
    paused.shop.sign_up("ana", "bea", "cleo")
    paused.until(START)
    paused.pause(START + HOUR)
    paused.happens("ana", "Bought", START + 2 * HOUR)
    paused.happens("bea", "Bought", START + 2 * HOUR)
    paused.resume(START + 3 * HOUR, per_minute=1)
    paused.until(START + 3 * HOUR)
    paused.pause(START + 3 * HOUR + timedelta(seconds=1))
    paused.until(START + 4 * HOUR)
    steps = [step for step, _ in paused.runs().values()]
    assert (steps.count("exited"), steps.count("bought")) == (1, 2)
    paused.resume(START + 5 * HOUR)
    paused.until(START + 5 * HOUR + MINUTE)
    assert paused.runs() == {"ana": ("exited", "happy"), "bea": ("exited", "happy"), "cleo": ("bought", None)}


def test_a_pause_while_the_daemon_is_away_loses_nobody(courting: Paused) -> None:
    courting.pause(START + HOUR)
    courting.resume(START + 3 * DAY)
    courting.until(START + 3 * DAY + MINUTE)
    assert courting.runs() == {"ana": ("completed", None), "bea": ("completed", None)}


def test_what_is_so_already_is_said_and_all_else_written_down(sqlite_database: Database) -> None:
    Paused(sqlite_database, court=COURT)
    now, by = START, {"now": START, "who": "Ana"}
    assert resume_journey(sqlite_database, "court", **by).said is Said.ALREADY
    assert pause_journey(sqlite_database, "court", **by).said is Said.DONE
    assert pause_journey(sqlite_database, "court", **by).said is Said.ALREADY
    assert resume_journey(sqlite_database, "court", **by).said is Said.DONE
    assert stop_journey(sqlite_database, "court", **by).said is Said.DONE
    assert stop_journey(sqlite_database, "court", **by).said is Said.ALREADY
    with pytest.raises(JourneysError, match="is stopped"):
        pause_journey(sqlite_database, "court", **by)
    with pytest.raises(JourneysError, match="no journey 'cort'"):
        pause_journey(sqlite_database, "cort", **by)
    with sqlite_database.read() as connection:
        found = [(one.at, one.who, one.what) for one in records(connection)][1:]
    assert found == [(now, "Ana", f"{verb} court") for verb in ("pause", "resume", "stop")]


def test_a_new_version_of_a_paused_journey_is_paused(courting: Paused) -> None:
    courting.pause(START + HOUR)
    changed = load_project(files(court=COURT.replace("up_to: 1d", "up_to: 2d"), other=OTHER))
    apply_project(courting.database, changed, now=START + 2 * HOUR, author=None, git_commit=None)
    courting.until(START + 2 * DAY)
    assert courting.runs() == {"ana": ("bought", None), "bea": ("bought", None)}
    courting.resume(START + 3 * DAY)
    courting.until(START + 3 * DAY + MINUTE)
    assert courting.runs() == {"ana": ("completed", None), "bea": ("completed", None)}


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def test_it_works_within_a_tick_of_a_daemon_at_work(shared: Database) -> None:
    database, clock = shared, Clock()
    paused = Paused(database, court=COURT)
    paused.shop.sign_up("ana")
    with living(database, paused.sink, clock=clock):
        until(lambda: paused.sink.contacts == ["ana"])
        paused.pause(START)
        clock.now = START + 2 * DAY
        until(lambda: paused.row("ana").leaves_by == "timeout")
        assert paused.sink.contacts == ["ana"]
        paused.resume(clock.now)
        until(lambda: paused.sink.contacts == ["ana", "ana"])
        stop_journey(database, "court", now=clock.now, who="tests")
    assert paused.runs()["ana"] == ("completed", None)


TURNS = """
journey: turns
language: 1
title: Wait for something to be true
topic: offers
trigger: {event: Signed Up}
steps:
  - id: best
    wait:
      when: contact.vip
      up_to: 5d
      then: [{id: gift, send: {channel: email, template: hello}}, {id: out, exit: vip}]
  - {id: pity, send: {channel: email, template: hello}}
"""

LATER = """
journey: later
language: 1
title: A message that may be put off
topic: offers
trigger: {event: Signed Up}
links: {later: {snooze: [2d]}, stop: {exit: no-more}}
steps:
  - {id: ask, send: {channel: email, template: hello}}
  - {id: rest, wait: 10d}
"""

CALLS = """
journey: calls
language: 1
title: Ask somebody
topic: offers
trigger: {event: Signed Up}
steps:
  - id: score
    call: {url: "https://api.example/score", save_as: answer, on_error: [{id: bad, exit: unanswered}]}
  - {id: news, send: {channel: email, template: hello}}
"""

BEST = """
journey: best
language: 1
title: For the best
topic: offers
trigger: {segment: best, change: enter}
steps:
  - {id: rest, wait: 1d}
"""


def identify(paused: Paused, key: str, at: datetime, **traits: Any) -> None:
    """Something changes about a contact, as an event that takes its turn."""
    fitted = fit_traits(paused.shop.catalog, traits)
    changed = paused.shop.event(key, "Left", at)
    paused.shop.arrive([replace(changed, name=IDENTIFIED, properties=fitted.properties)])
    paused.until(at)


def test_what_comes_true_in_a_pause_counts_after_it(database: Database) -> None:
    paused = Paused(database, turns=TURNS)
    paused.shop.sign_up("ana", "bea")
    paused.until(START)
    paused.pause(START + HOUR, "turns")
    identify(paused, "ana", START + 2 * HOUR, vip=True)
    identify(paused, "ana", START + 3 * HOUR, vip=False)
    paused.until(START + 6 * DAY)
    identify(paused, "bea", START + 6 * DAY + HOUR, vip=True)
    assert {step for step, _ in paused.runs("turns").values()} == {"best"}
    paused.resume(START + 7 * DAY, "turns")
    paused.until(START + 7 * DAY + MINUTE)
    assert paused.runs("turns") == {"ana": ("exited", "vip"), "bea": ("exited", "vip")}


def test_readers_press_links_in_a_pause(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, later=LATER)
    paused.shop.sign_up("ana", "bea")
    paused.until(START)
    paused.pause(START + HOUR, "later")
    for key, link, option in (("ana", "later", "2d"), ("bea", "stop", None)):
        pressed = press(
            sqlite_database, paused.shop.versions,
            contact=key, journey="later", run=1, step="ask", visit=1, at=START + 2 * HOUR, link=link, option=option,
        )  # fmt: skip
        assert pressed, pressed
    paused.until(START + 2 * HOUR)
    assert paused.runs("later") == {"ana": ("ask", None), "bea": ("exited", "no-more")}
    # Put off to day 2; it may leave for a day from then on.
    paused.until(START + 2 * DAY + 6 * HOUR)
    assert paused.sink.contacts.count("ana") == 1
    paused.resume(START + 2 * DAY + 12 * HOUR, "later")
    paused.until(START + 2 * DAY + 12 * HOUR + MINUTE)
    assert paused.sink.contacts.count("ana") == 2
    assert paused.runs("later")["ana"] == ("rest", None)


def test_an_answer_that_comes_in_a_pause_is_kept(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, calls=CALLS)
    paused.shop.sign_up("ana", "bea")
    answers = Sink()
    answers.on_send = lambda message: paused.pause(START, "calls")
    answers.answers["ana"] = Sent(answer=Answer(status=200, json={"value": 3}))
    channels = {"email": paused.sink, ASKED_BY_CALL: answers}
    deliver(sqlite_database, paused.shop.versions, channels, START)
    assert answers.contacts == ["ana"]
    paused.until(START + 2 * HOUR)
    assert {step for step, _ in paused.runs("calls").values()} == {"score"}
    paused.resume(START + 3 * HOUR, "calls")
    paused.until(START + 3 * HOUR + MINUTE)
    # Ana's answer is there; nobody answered to Bea within the hour.
    assert paused.runs("calls") == {"ana": ("completed", None), "bea": ("exited", "unanswered")}
    assert paused.sink.contacts == ["ana"]


def test_who_comes_into_a_segment_in_a_pause_is_no_news_after_it(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, best=BEST)
    for key in ("ana", "bea"):
        paused.shop.identify(key)
    paused.until(START)
    paused.pause(START + HOUR, "best")
    identify(paused, "ana", START + 2 * HOUR, vip=True)
    paused.resume(START + 3 * HOUR, "best")
    identify(paused, "bea", START + 4 * HOUR, vip=True)
    paused.until(START + 5 * HOUR)
    assert set(paused.runs("best")) == {"bea"}


def test_who_was_held_and_set_aside_goes_on_once_both_are_over(sqlite_database: Database) -> None:
    paused = Paused(sqlite_database, court=COURT)
    paused.shop.sign_up("ana")
    paused.until(START)
    paused.pause(START + HOUR)
    paused.happens("ana", "Bought", START + 2 * HOUR)
    set_aside = {"status": "set_aside", "reason": "tests", "ended_at": START + 3 * HOUR, "step": None}
    with sqlite_database.begin() as connection:
        connection.execute(update(run).values(**set_aside, next_at=None))
    paused.resume(START + 4 * HOUR)
    paused.until(START + 5 * HOUR)
    with sqlite_database.read() as connection:
        (one,) = runs_set_aside(connection, limit=9)
    resume_runs(sqlite_database, [one], now=START + 6 * HOUR, who="tests")
    paused.until(START + 6 * HOUR)
    assert paused.runs() == {"ana": ("exited", "happy")}
