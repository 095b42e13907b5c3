"""What many contacts, many runners and many instants share: rates, caps, chance; the same however the work is cut."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from policies import files_of, journey
from shop import START, Shop
from sqlalchemy import select

from runner.engine.pausing import stop_journey
from runner.engine.tick import EXACT, LIVE, Pace, tick
from runner.engine.versions import load_versions
from runner.journey.bucket import bucket
from runner.journey.duration import Duration
from runner.journey.model import Rate
from runner.journey.project import load_project
from runner.review.plan import plan
from runner.store.database import Database
from runner.store.steps.rate import Places
from runner.store.tables import assignment, run
from runner.store.watching.story import Chapter, story
from tests import followed
from tests.shop import CATALOG as SHOP

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def shop_of(database: Database, steps: str, policies: str = "", **others: str) -> Shop:
    return Shop(database, files_of(policies, {"demo": journey(steps), **others}))


def everybody(count: int) -> list[str]:
    return [f"c{number:03}" for number in range(count)]


def begin(shop: Shop, keys: list[str], event: str = "Signed Up", at: datetime = START) -> None:
    shop.arrive(shop.event(key, event, at) for key in keys)


def let_go(shop: Shop) -> dict[str, datetime]:
    return {name: row.let_go_at for name, row in shop.ledger().items() if row.status == "ready"}


def live_through(shop: Shop, until: datetime, pace: Pace = EXACT, step: timedelta = HOUR) -> None:
    now = START
    while now <= until:
        shop.tick(now, pace)
        now += step


def most_within(instants: list[datetime], per: timedelta) -> int:
    """The most of ``instants`` that lie in one (x - per, x]."""
    return max((sum(x - per < each <= x for each in instants) for x in instants), default=0)


def test_a_rate_lets_so_many_leave_and_the_first_to_come_first(database: Database) -> None:
    steps = "steps: [{id: hello, send: {channel: email, rate: {max: 2, per: 1h}, valid_for: 170m}}]"
    shop = shop_of(database, steps)
    keys = everybody(9)
    for key in keys:
        shop.identify(key)
    for number, key in enumerate(reversed(keys[:8])):
        begin(shop, [key], at=START + timedelta(minutes=number))
    begin(shop, keys[8:], at=START + timedelta(minutes=8))
    live_through(shop, START + 4 * HOUR, step=timedelta(minutes=1))
    gone = let_go(shop)
    assert most_within(list(gone.values()), HOUR) == 2
    order = sorted(gone, key=lambda name: gone[name])
    # Who came first leaves first; the last three would have to wait for three hours.
    assert [name.split("/")[0] for name in order] == list(reversed(keys[2:8]))
    assert gone["c007/hello"] == START
    assert gone["c005/hello"] == START + HOUR
    assert gone["c003/hello"] == START + 2 * HOUR
    late = shop.ledger()["c001/hello"]
    assert (late.reason, late.let_go_at) == ("expired", START + timedelta(minutes=6 + 170))


def test_of_those_who_come_to_a_rate_at_one_instant_the_oldest_run_goes_first(database: Database) -> None:
    steps = """
    steps:
      - {id: morning, wait: {for: 0m, at: "09:00"}}
      - {id: hello, send: {channel: email, rate: {max: 1, per: 1h}}}
    """
    shop = shop_of(database, steps)
    keys = ["b", "c", "a"]
    for number, key in enumerate(keys):
        shop.identify(key)
        begin(shop, [key], at=START + timedelta(minutes=number))
    live_through(shop, START + 30 * HOUR)
    gone = let_go(shop)
    assert sorted(gone, key=lambda name: gone[name]) == ["b/hello", "c/hello", "a/hello"]
    assert {
        after - before
        for before, after in zip(sorted(gone.values()), sorted(gone.values())[1:], strict=False)
    } == {HOUR}


def test_places_are_never_too_many_in_whatever_order_they_are_asked_for() -> None:
    minute = 60_000_000
    places = Places(Rate(most=3, per=Duration(microseconds=10 * minute)), [])
    taken: list[int] = []
    for wanted in [50, 3, 3, 3, 3, 45, 45, 45, 44, 2, 0, 0, 61, 51, 51, 7]:
        place = places.next_from(wanted * minute)
        assert place >= wanted * minute
        places.take(place)
        taken.append(place)
        ordered = sorted(taken)
        for first, fourth in zip(ordered, ordered[3:], strict=False):
            assert fourth - first >= 10 * minute


@pytest.mark.parametrize("contacts", [1, 5, 1000])
def test_policy_is_the_same_however_the_work_is_cut(sqlite_database: Database, contacts: int) -> None:
    """Caps, priorities, quiet hours, holds and holdouts of a dozen people, in batches of any size."""
    policies = """
    quiet_hours: {from: "21:00", to: "08:00"}
    frequency_cap: [{max: 2, per: 1d}, {max: 1, per: 2h, topic: offers, over: defer}]
    priority: [transactional, news, offers]
    hold: [{when: contact.open_tickets > 1, topics: [offers]}]
    holdout: {percent: 20}
    """
    steps = """
    holdout: 10%
    steps:
      - {id: hello, send: {channel: email}}
      - {id: pause, wait: 50m}
      - {id: second, send: {channel: email, valid_for: 4d}}
    """
    news = journey(
        "steps: [{id: hello, send: {channel: email, topic: news}}, {id: pause, wait: 1h}, "
        "{id: other, send: {channel: email, topic: receipts}}]",
        name="news",
        event="Asked",
    )
    shop = shop_of(sqlite_database, steps, policies, news=news)
    for number, key in enumerate(everybody(12)):
        shop.identify(
            key,
            timezone=["Asia/Tokyo", "Europe/Berlin", "America/New_York"][number % 3],
            open_tickets=number % 3,
        )
        shop.grant(key, "news")
        for hour in range(0, 30, 3 + number % 7):
            begin(shop, [key], at=START + hour * HOUR)
            begin(shop, [key], "Asked", at=START + (hour + number % 2) * HOUR)
    live_through(
        shop,
        START + 72 * HOUR,
        replace(EXACT, contacts=contacts),
        step=timedelta(hours=24) if contacts > 3 else 6 * HOUR,
    )
    with shop.database.read() as connection:
        rows = connection.execute(
            select(run.c.journey, run.c.held_out, run.c.status, run.c.deferred, run.c.due_at)
        ).all()
    told = sorted(
        (name, row.run, row.status, row.reason, row.let_go_at.isoformat()) for name, row in _all(shop).items()
    )
    assert {status for _, _, status, *_ in told} == {"ready", "withheld", "blocked"}
    assert len(rows) > 80
    _same_as_before(told)


_TOLD: list[list[tuple[str, int, str, str | None, str]]] = []


def _same_as_before(told: list[tuple[str, int, str, str | None, str]]) -> None:
    _TOLD.append(told)
    assert told == _TOLD[0]


def _all(shop: Shop) -> Mapping[str, object]:
    return {f"{name}/{number}": row for number, (name, row) in enumerate(shop.messages())}


def test_runners_that_tick_at_once_never_exceed_a_cap_or_a_rate(postgres_database: Database) -> None:
    """Two runners take turns over 120 people, each with two journeys that ask for the same place."""
    policies = "frequency_cap: {max: 1, per: 1d}\npriority: [news, offers]"
    steps = "steps: [{id: hello, send: {channel: email, rate: {max: 15, per: 1h}, valid_for: 2d}}]"
    news = journey("steps: [{id: hello, send: {channel: email, topic: news}}]", name="news", event="Asked")
    shop = shop_of(postgres_database, steps, policies, news=news)
    keys = everybody(120)
    for key in keys:
        shop.identify(key)
    shop.grant_all("news")
    begin(shop, keys)
    begin(shop, keys[:60], "Asked", at=START)
    versions = load_versions(postgres_database)
    troubles: list[BaseException] = []

    def run_one(number: int) -> None:
        try:
            for minute in range(0, 9 * 60, 30):
                now = START + timedelta(minutes=minute)
                after = -1
                for _ in range(40):
                    done = tick(
                        postgres_database,
                        versions,
                        now,
                        replace(LIVE, contacts=20, partitions=3),
                        after=after,
                    )
                    after = done.last
                    if not done.more:
                        break
        except BaseException as trouble:
            troubles.append(trouble)

    threads = [threading.Thread(target=run_one, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not troubles, troubles
    messages = [row for _, row in shop.messages()]
    ready = [row for row in messages if row.status == "ready"]
    assert max(Counter(row.contact_key for row in ready).values()) == 1
    rated = [row.let_go_at for row in ready if row.journey == "demo"]
    assert len(rated) >= 60
    assert most_within(rated, HOUR) == 15


def test_what_nobody_got_uses_up_no_cap_and_its_place_is_free_at_once(database: Database) -> None:
    """A run that ends before its message was handed over, and messages that a stop cancels, of ended runs as well."""
    left = "exit: [{event: Bought, reason: bought}]\n"
    steps = "steps: [{id: hello, send: {channel: email, valid_for: 30d}}, {id: end, wait: 9d}]"
    short = "steps: [{id: hello, send: {channel: email, valid_for: 30d}}]"
    others = {"more": journey(short, "more", "Asked"), "brief": journey(short, "brief", "Called")}
    files = files_of(
        "frequency_cap: [{max: 1, per: 7d, over: defer}]", {"demo": journey(left + steps), **others}
    )
    files["journeys/catalog.yaml"] = files["journeys/catalog.yaml"].replace(
        "  Asked: {}\n", "  Asked: {}\n  Called: {}\n"
    )
    shop = Shop(database, files)
    for key in ("left", "short", "stopped"):
        shop.identify(key)
    begin(shop, ["left", "stopped"])
    begin(shop, ["short"], "Called")
    shop.tick(START)
    begin(shop, ["left", "short", "stopped"], "Asked", START + HOUR)
    shop.tick(START + HOUR)
    begin(shop, ["left"], "Bought", START + 2 * HOUR)
    shop.tick(START + 2 * HOUR)
    for name in ("demo", "brief"):
        stop_journey(database, name, now=START + 3 * HOUR, who="tests", send_nothing=True)
    shop.versions = load_versions(database, shop.versions)
    shop.tick(START + 3 * HOUR)
    assert [
        (key, row.journey, row.status, (row.let_go_at - START) / HOUR) for key, row in shop.messages()
    ] == [
        ("left/hello", "demo", "cancelled", 0),
        ("left/hello", "more", "ready", 2),
        ("short/hello", "brief", "cancelled", 0),
        ("short/hello", "more", "ready", 3),
        ("stopped/hello", "demo", "cancelled", 0),
        ("stopped/hello", "more", "ready", 3),
    ]


def test_places_that_a_runner_was_away_for_are_given_anew(database: Database) -> None:
    """Three hours of messages do not leave at once when nobody was there to let them go."""
    steps = "steps: [{id: hello, send: {channel: email, rate: {max: 5, per: 1h}, valid_for: 2d}}]"
    shop = shop_of(database, steps)
    keys = everybody(20)
    for key in keys:
        shop.identify(key)
    begin(shop, keys)
    versions = load_versions(database)
    for hours in (0, 5, 6, 7, 8, 9):
        while tick(database, versions, START + hours * HOUR, LIVE).more:
            pass
    left = [row.let_go_at for _, row in shop.messages() if row.status == "ready"]
    assert Counter(left) == {START + hours * HOUR: 5 for hours in (0, 5, 6, 7)}


def test_of_two_messages_at_one_instant_the_catalog_says_which_takes_the_last_place(
    database: Database,
) -> None:
    steps = "steps: [{id: morning, wait: {for: 0m, at: '09:00'}}, {id: hello, send: {channel: email}}]"
    news = journey(
        "steps: [{id: morning, wait: {for: 0m, at: '09:00'}}, {id: hello, send: {channel: email, topic: news}}]",
        name="news",
        event="Asked",
    )
    zebra = journey(
        "steps: [{id: morning, wait: {for: 0m, at: '09:00'}}, {id: hello, send: {channel: email, priority: news}}]",
        name="zebra",
        event="Bought",
    )
    shop = shop_of(
        database, steps, "frequency_cap: {max: 1, per: 1d}\npriority: [news, offers]", news=news, zebra=zebra
    )
    for key in ("a", "b", "c"):
        shop.identify(key)
        shop.grant(key, "news")
        begin(shop, [key])
    begin(shop, ["a", "c"], "Asked")
    begin(shop, ["b", "c"], "Bought")
    shop.tick(START + 24 * HOUR, EXACT)
    found = {(row.contact_key, row.journey): row.status for _, row in shop.messages()}
    assert found == {
        ("a", "demo"): "blocked",
        ("a", "news"): "ready",
        ("b", "demo"): "blocked",
        ("b", "zebra"): "ready",
        ("c", "demo"): "blocked",
        ("c", "news"): "ready",
        ("c", "zebra"): "blocked",
    }


def test_who_is_held_out_is_drawn_once_and_outlives_versions(database: Database) -> None:
    steps = "holdout: 20%\nsteps: [{id: hello, send: {channel: email}}]"
    shop = shop_of(database, steps, "holdout: {percent: 10, name: quiet}")
    keys = everybody(60)
    for key in keys:
        shop.identify(key)
    begin(shop, keys)
    shop.tick(START, EXACT)
    own = {key for key in keys if bucket(f"demo/holdout/{key}") < 2000}
    everywhere = {key for key in keys if bucket(f"*/quiet/{key}") < 1000}
    assert own
    assert everywhere
    withheld = {name.split("/")[0] for name, row in shop.ledger().items() if row.status == "withheld"}
    assert withheld == own | everywhere
    # A smaller share, be it of nobody, changes nothing for those who have been drawn for; without one all get theirs.
    new = next(key for key in (f"new{n}" for n in range(60)) if bucket(f"demo/holdout/{key}") < 2000)
    shop.identify(new)
    for hours, share, held in ((1, "holdout: 1%\n", own), (2, "holdout: 0%\n", own), (3, "", set())):
        other = journey(steps.replace("holdout: 20%\n", share))
        again = Shop(database, files_of("holdout: {percent: 10, name: quiet}", {"demo": other}))
        at = START + timedelta(hours=hours)
        begin(again, keys if hours == 1 else [*keys, new], at=at)
        again.tick(at, EXACT)
        later = [row for _, row in again.messages() if row.let_go_at == at]
        assert {row.contact_key for row in later if row.status == "withheld"} - {new} == held | everywhere
        assert hours != 2 or [row.status for row in later if row.contact_key == new] == ["ready"]
    with database.read() as connection:
        assert len(connection.execute(select(assignment)).all()) == 2 * len([*keys, new])


def test_a_ramp_lets_more_and_more_enter(database: Database) -> None:
    steps = """
    ramp: [{percent: 10, for: 2d}, {percent: 50, for: 1d}, {percent: 100}]
    steps: [{id: hello, send: {channel: email}}]
    """
    shop = shop_of(database, steps)
    keys = everybody(60)
    for key in keys:
        shop.identify(key)

    def enter(at: datetime) -> set[str]:
        """Who enters at an instant, the journey being first applied a day before START."""
        begin(shop, keys, at=at)
        shop.tick(at)
        return {row.contact_key for _, row in shop.messages() if row.let_go_at == at}

    def drawn(share: int) -> set[str]:
        return {key for key in keys if bucket(f"demo/ramp/{key}") < share}

    assert enter(START) == drawn(1000)
    assert enter(START + timedelta(hours=24, microseconds=-1)) == drawn(1000)
    assert enter(START + timedelta(hours=24)) == drawn(5000)
    assert enter(START + timedelta(hours=48)) == set(keys)


def test_a_policy_that_is_new_holds_for_those_who_are_on_their_way(database: Database) -> None:
    steps = "steps: [{id: pause, wait: 12h}, {id: hello, send: {channel: email}}, {id: end, wait: 1d}]"
    shop = shop_of(database, steps)
    for key in ("a", "b"):
        shop.identify(key)
    begin(shop, ["a"])
    shop.tick(START, EXACT)
    Shop(database, files_of('quiet_hours: {from: "21:00", to: "08:00"}', {"demo": journey(steps)}))
    strict = load_versions(database, shop.versions)
    evening = START + 12 * HOUR
    while tick(database, strict, evening, EXACT).more:
        pass
    assert shop.ledger() == {}


CAP = "frequency_cap: [{max: 1, per: 7d, over: defer}]"
QUIET = "quiet_hours: {from: '13:00', to: '12:00'}"
RATED = "rate: {max: 1, per: %s}"
FOLLOW = "in_flight: follow"


CHANGES: list[tuple[tuple[str, str, str], tuple[str, str, str], list[float]]] = [
    ((CAP, "", ""), ("", "", ""), [0, 1, 2]),
    ((CAP, "", ""), (CAP.replace("max: 1", "max: 2"), "", ""), [0, 1, 2]),
    ((CAP, "", ""), (CAP.replace("7d", "3h"), "", ""), [0, 1, 3]),
    ((CAP, "", ""), (CAP.replace("7d", "9d"), "", ""), [0, 1, 9 * 24]),
    ((CAP, "", ""), (CAP.replace("defer", "drop"), "", ""), [0, 1]),
    ((CAP, "", ""), (CAP, "topic: receipts", FOLLOW), [0, 1, 2]),
    ((QUIET, "", ""), ("", "", ""), [2, 2]),
    ((QUIET, "", ""), (QUIET.replace("12:00", "18:00"), "", ""), [4, 4]),
    (("hold: [{when: contact.points is None}]", "", ""), ("", "", ""), [2, 2]),
    (("", "window: {from: '12:00', to: '13:00'}", ""), ("", "", FOLLOW), [2, 2]),
    (("", RATED % "6h", ""), ("", RATED % "2h", FOLLOW), [0, 2, 4]),
    (("", RATED % "6h", ""), ("", RATED % "2h", ""), [0, 6, 12]),
]
"""What a catalog, a send and a head say before and after, and how many hours after the start messages leave."""


@pytest.mark.parametrize(("before", "after", "sent"), CHANGES, ids=str)
def test_whoever_a_policy_keeps_waiting_is_asked_again_when_it_changes(
    sqlite_database: Database, before: tuple[str, str, str], after: tuple[str, str, str], sent: list[float]
) -> None:
    """At once, and by what the plan says at the latest. What is none of theirs leaves them as they are."""
    asked_again_at_a_change(sqlite_database, before, after, sent)


@pytest.mark.parametrize("place", [5, 6, 10])
def test_who_is_asked_again_when_a_policy_changes_is_the_same_on_postgresql(
    postgres_database: Database, place: int
) -> None:
    asked_again_at_a_change(postgres_database, *CHANGES[place])


def asked_again_at_a_change(
    database: Database, before: tuple[str, str, str], after: tuple[str, str, str], sent: list[float]
) -> None:

    def of(policies: str, says: str, head: str) -> Mapping[str, str]:
        catalog = SHOP + (f"policies: {{{policies}}}\n" if policies else "")
        said = f", {says}" if says else ""
        send = f"{{channel: email, template: hello, valid_for: 20d{said}}}"
        return followed.files(f"  - {{id: hello, send: {send}}}\n", head, catalog)

    def hours_of(tour: followed.Tour) -> list[float]:
        return sorted(hours for key in ("ana", "bob") for _, hours in tour.got(key))

    tour = followed.Tour(database, "  - {id: hello, send: {channel: email, template: hello}}\n")
    tour.change_to(of(*before), START)
    for minutes, key in ((0, "ana"), (30, "ana"), (60, "bob")):
        tour.enter(key, at=START + minutes * MINUTE)
    now = START + 2 * HOUR
    tour.until(now)
    project = load_project(of(*after))
    (planned,) = plan(database, project, now=now).journeys
    tour.change_to(of(*after), now)
    tour.until(now)
    assert hours_of(tour) == [hours for hours in sent if hours <= 2]
    tour.until(START + 20 * 24 * HOUR)
    assert hours_of(tour) == sent
    for version in planned.versions:
        if version.until is not None:
            assert version.until >= START + sent[-1] * HOUR


def test_the_story_of_a_contact_says_what_their_message_waits_for(database: Database) -> None:
    shop = shop_of(
        database,
        'steps: [{id: hello, send: {channel: email, window: {from: "09:00", to: "12:00"}}}]',
        'quiet_hours: {from: "21:00", to: "08:00"}',
    )
    shop.identify("ana", timezone="Europe/Berlin")
    evening = START.replace(hour=21)
    begin(shop, ["ana"], at=evening)
    shop.tick(evening, EXACT)
    with database.read() as connection:
        *_, deferred, stands = story(connection, "ana")
    assert (deferred.chapter, deferred.step, deferred.outcome) == (Chapter.DEFERRED, "hello", "quiet_hours")
    assert (stands.chapter, stands.outcome, stands.due_at) == (
        Chapter.STANDS,
        "quiet_hours",
        START.replace(hour=7) + 24 * HOUR,
    )
    shop.tick(evening + 12 * HOUR, EXACT)
    with database.read() as connection:
        told = [
            (each.chapter, each.outcome, each.at)
            for each in story(connection, "ana")
            if each.chapter in (Chapter.DEFERRED, Chapter.LEFT)
        ]
    assert told == [
        (Chapter.DEFERRED, "quiet_hours", evening),
        (Chapter.DEFERRED, "window", evening + 10 * HOUR),
        (Chapter.LEFT, "ready", evening + 11 * HOUR),
    ]
