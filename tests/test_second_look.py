"""What is looked at once more as a message leaves, and to whom a deployment sends at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from policies import files_of, journey
from shop import START, Shop, Sink
from sqlalchemy import select

from channels.base import Result, RetryLater, Sent, Unknown
from runner.engine.deliver import deliver
from runner.engine.doubt import resend_unknown
from runner.engine.pausing import pause_journey, resume_journey
from runner.engine.tick import LIVE
from runner.engine.versions import load_versions
from runner.journey.catalog import IDENTIFIED, MESSAGE_BOUNCED, MESSAGE_COMPLAINED, MESSAGE_UNSUBSCRIBED
from runner.journey.fit import fit_traits
from runner.problem import ProblemsFound
from runner.settings import load_settings
from runner.store.database import Database
from runner.store.people.arrival import Arrival
from runner.store.tables import suppression
from tests.followed import DAY, HOUR, Tour, files, wait
from tests.shop import CATALOG

STEPS = """
steps:
  - {id: hello, send: {channel: email, only_if: not contact.vip}}
  - {id: receipt, send: {channel: email, topic: receipts, template: other}}
  - {id: tip, send: {channel: email, topic: tips, template: other}}
"""


def signed_up(database: Database, *keys: str, head: str = "") -> Shop:
    """A shop in which people's first messages are ready, and have not left."""
    shop = Shop(database, files_of("", {"demo": journey(head + STEPS)}))
    for key in keys:
        shop.identify(key, country="US")
    shop.arrive(shop.event(key, "Signed Up") for key in keys)
    shop.tick(START)
    return shop


def became(shop: Shop) -> dict[str, tuple[str, str | None]]:
    return {name: (row.status, row.reason) for name, row in shop.ledger().items()}


def test_what_has_changed_since_is_seen_as_the_message_leaves(database: Database) -> None:
    keys = ["bounced", "changed", "same", "unsubscribed"]
    shop = signed_up(database, *keys)
    told = [
        shop.event("bounced", MESSAGE_BOUNCED, run=1, step="hello"),
        shop.event("unsubscribed", MESSAGE_UNSUBSCRIBED, run=1, step="tip"),
    ]
    fitted = fit_traits(shop.catalog, {"vip": True, "country": "DE"})
    told.append(
        Arrival(
            contact="changed",
            name="Contact Identified",
            at=START,
            properties=fitted.properties,
            undeclared={},
            dedup_key="changed",
        )
    )
    shop.arrive(told)
    shop.tick(START)
    deliver(database, shop.versions, {"email": Sink()}, START)
    assert became(shop) == {
        "bounced/hello": ("blocked", "suppressed"),
        "bounced/receipt": ("blocked", "suppressed"),
        "bounced/tip": ("blocked", "suppressed"),
        "changed/hello": ("blocked", "only_if"),
        "changed/receipt": ("sent", None),
        # In the EU tips ask for a double opt-in, and here nobody has said yes.
        "changed/tip": ("blocked", "no_consent"),
        "same/hello": ("sent", None),
        "same/receipt": ("sent", None),
        "same/tip": ("sent", None),
        "unsubscribed/hello": ("sent", None),
        "unsubscribed/receipt": ("sent", None),
        "unsubscribed/tip": ("blocked", "no_consent"),
    }


AWAY = """
steps:
  - {id: hello, send: email}
  - {id: late, send: {channel: email, template: other, valid_for: 3d, window: {from: "20:00", to: "20:55"}}}
  - {id: code, send: {channel: email, template: other, topic: receipts, ignore_quiet_hours: true}}
  - {id: habit, send: {channel: email, template: other, valid_for: 3d, window: {best: 24h, fallback: "20:50"}}}
"""
RULES = """
quiet_hours: {from: "21:00", to: "08:00"}
hold: [{when: contact.open_tickets > 0}]
"""


@pytest.mark.parametrize("paused", [False, True], ids=["away", "paused"])
def test_what_did_not_leave_when_it_was_let_go_waits_until_it_may(database: Database, paused: bool) -> None:
    """Quiet hours, window and hold are asked again of what was let go more than five minutes ago, and ``valid_for``
    still ends it."""
    shop = Shop(database, files_of(RULES, {"demo": journey(AWAY)}))
    sink, evening = Sink(), START + timedelta(hours=9, minutes=50)  # 20:50 in Berlin
    for key in ("ana", "held"):
        shop.identify(key)
    shop.arrive(shop.event(key, "Signed Up", evening) for key in ("ana", "held"))
    shop.tick(evening)
    if paused:
        pause_journey(database, "demo", now=evening, who="tests")
    with_ticket = fit_traits(shop.catalog, {"open_tickets": 1}).properties
    told = Arrival(
        contact="held", name=IDENTIFIED, at=evening, properties=with_ticket, undeclared={}, dedup_key="ticket"
    )
    shop.arrive([told])

    def left(hours: float, answer: Result | None = None) -> list[str]:
        """What leaves so many hours after the start."""
        sink.answers = {key: answer for key in ("ana", "held") if answer}
        sink.messages.clear()
        now = START + timedelta(hours=hours)
        shop.versions = load_versions(database, shop.versions)
        shop.tick(now)
        while deliver(database, shop.versions, {"email": sink}, now).claimed:
            pass
        return sorted(f"{each.contact}/{each.step}" for each in sink.messages)

    away = RetryLater("the provider is away", unreachable=True)
    assert bool(left(9.9, away)) is not paused
    if paused:
        resume_journey(database, "demo", now=START + 11 * HOUR, who="tests")
    assert left(11.1) == ["ana/code", "held/code"]
    assert left(20.9) == []
    assert left(21) == ["ana/hello"]  # 08:00
    assert shop.ledger()["held/hello"].reason == "hold"
    assert left(32.9) == []
    assert left(33) == ["ana/late"]  # 20:00
    assert left(33.8) == []
    assert left(33.9) == ["ana/habit"]  # 20:50
    assert became(shop)["held/hello"] == ("blocked", "expired")
    assert became(shop)["held/late"][0] == "ready"


def test_who_got_nothing_has_no_place_of_an_address_and_who_may_have_has(database: Database) -> None:
    steps = """
    exit: [{event: Bought, reason: bought}]
    steps: [{id: hello, send: {channel: email, topic: receipts, per_address: 1}}, {id: end, wait: 1d}]
    """
    shop = Shop(database, files_of("", {"demo": journey(steps)}))

    def comes(key: str, answer: Result, minutes: int) -> None:
        """Somebody signs up, gets their message, or not, and buys."""
        now = START + timedelta(minutes=minutes)
        shop.identify(key, email="one@x.example" if key in ("ana", "bob", "cleo") else "other@x.example")
        shop.arrive([shop.event(key, "Signed Up", now)])
        shop.tick(now)
        deliver(database, shop.versions, {"email": Sink(answers={key: answer})}, now)
        if key == "dan":
            resend_unknown(database, shop.versions, now)
            deliver(database, shop.versions, {"email": Sink(answers={key: away})}, now)
        shop.arrive([shop.event(key, "Bought", now + timedelta(seconds=1))])
        shop.tick(now + timedelta(seconds=1))

    away = RetryLater("the provider is away")
    answers = {"ana": away, "bob": Sent("1"), "cleo": Sent("2"), "dan": Unknown("cut"), "eve": Sent("3")}
    for minute, (key, answer) in enumerate(answers.items()):
        comes(key, answer, minute)
    assert became(shop) == {
        "ana/hello": ("cancelled", "bought"),
        "bob/hello": ("sent", None),
        "cleo/hello": ("blocked", "address_limit"),
        "dan/hello": ("unknown", "possible_duplicate"),
        "eve/hello": ("blocked", "address_limit"),
    }


def test_what_leaves_within_five_minutes_is_not_asked_again(sqlite_database: Database) -> None:
    shop = Shop(sqlite_database, files_of(RULES, {"demo": journey(AWAY)}))
    evening = START + timedelta(hours=9, minutes=54, seconds=59)
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up", evening)])
    shop.tick(evening)
    deliver(sqlite_database, shop.versions, {"email": (sink := Sink())}, evening + timedelta(minutes=5))
    assert {each.step for each in sink.messages} == {"hello", "late", "code"}  # by now the window is closed


def test_an_unsubscribe_from_nobody_knows_what_keeps_all_but_receipts(database: Database) -> None:
    shop = signed_up(database, "ana")
    shop.arrive([shop.event("ana", MESSAGE_UNSUBSCRIBED, channel="email")])
    shop.tick(START)
    deliver(database, shop.versions, {"email": Sink()}, START)
    assert became(shop) == {
        "ana/hello": ("blocked", "suppressed"),
        "ana/receipt": ("sent", None),
        "ana/tip": ("blocked", "suppressed"),
    }


KEPT = ("blocked", "suppressed")
SENT = ("sent", None)
NOT_AGREED = ("blocked", "no_consent")


@pytest.mark.parametrize(
    ("name", "said", "hello", "receipt", "tip"),
    [
        (MESSAGE_UNSUBSCRIBED, {}, KEPT, SENT, KEPT),
        (MESSAGE_UNSUBSCRIBED, {"journey": "demo"}, KEPT, SENT, KEPT),
        (MESSAGE_UNSUBSCRIBED, {"journey": "demo", "step": "gone"}, SENT, SENT, SENT),
        (MESSAGE_COMPLAINED, {"run": 9, "step": "hello", "channel": "email"}, SENT, SENT, SENT),
        (MESSAGE_UNSUBSCRIBED, {"channel": "sms"}, SENT, SENT, SENT),
        (MESSAGE_UNSUBSCRIBED, {"journey": "demo", "step": "tip"}, SENT, SENT, NOT_AGREED),
        (MESSAGE_COMPLAINED, {}, KEPT, KEPT, KEPT),
        (MESSAGE_BOUNCED, {}, KEPT, KEPT, KEPT),
        (MESSAGE_BOUNCED, {"journey": "demo", "step": "hello"}, KEPT, KEPT, KEPT),
        (MESSAGE_BOUNCED, {"journey": "demo", "step": "hello", "soft": True}, SENT, SENT, SENT),
        (MESSAGE_BOUNCED, {"address": "old@x.example"}, SENT, SENT, SENT),
    ],
)
def test_feedback_that_names_no_run_is_heeded(
    database: Database,
    name: str,
    said: dict[str, Any],
    hello: tuple[str, str | None],
    receipt: tuple[str, str | None],
    tip: tuple[str, str | None],
) -> None:
    shop = signed_up(database, "ana", "history")
    shop.arrive([shop.event("ana", name, **said)])
    # Twice, as a provider tells it.
    told = shop.event("history", name, **said)
    shop.arrive([told, told, replace(told, dedup_key="again")], pending=False)
    shop.tick(START)
    deliver(database, shop.versions, {"email": Sink()}, START)
    of_each = {"hello": hello, "receipt": receipt, "tip": tip}
    assert became(shop) == {f"{key}/{step}": of for key in ("ana", "history") for step, of in of_each.items()}


def test_feedback_of_history_is_as_old_as_it_says(database: Database) -> None:
    shop = signed_up(database, "again", "moved", "same")
    before = START - HOUR
    shop.arrive(
        [
            # Those who have consented since are not asked anew; another address is not theirs.
            shop.event("again", MESSAGE_UNSUBSCRIBED, before, run=1, step="hello"),
            shop.event("moved", MESSAGE_COMPLAINED, before, address="old@x.example"),
            shop.event("same", MESSAGE_COMPLAINED, before, run=1, step="hello"),
        ],
        pending=False,
    )
    with database.read() as connection:
        told = {*connection.execute(select(suppression.c.address, suppression.c.since)).tuples()}
    assert {address for address, _ in told} == {"old@x.example", "same@x.example"}
    assert {since for _, since in told} == {before}
    shop.tick(START)
    deliver(database, shop.versions, {"email": Sink()}, START)
    closed = {name for name, came in became(shop).items() if came != SENT}
    assert closed == {"same/hello", "same/receipt", "same/tip"}


def test_seeds_get_messages_that_say_so(database: Database) -> None:
    shop = signed_up(database, "ana", "seed", head="delivery: seed\nseeds: [SEED@x.example]\n")
    sink = Sink()
    deliver(database, shop.versions, {"email": sink}, START)
    assert {(each.contact, each.subject) for each in sink.messages} == {("seed", "[seed] A mail")}
    assert became(shop)["ana/hello"] == ("withheld", "seed")


def test_outside_production_messages_go_to_those_who_are_named(sqlite_database: Database) -> None:
    shop = signed_up(sqlite_database, "ana", "bela")
    sink = Sink()
    allowed = frozenset({"bela@x.example"})
    deliver(sqlite_database, shop.versions, {"email": sink}, START, recipients=allowed)
    assert set(sink.contacts) == {"bela"}
    assert became(shop)["ana/hello"] == ("blocked", "not_a_recipient")


@pytest.mark.parametrize(
    ("text", "recipients"),
    [
        ("base_url: https://shop.example\n", None),
        ("environment: production\n", None),
        ("environment: staging\n", frozenset()),
        ("environment: staging\nrecipients: [Me@shop.example]\n", frozenset({"me@shop.example"})),
        ("recipients: [me@shop.example]\n", frozenset({"me@shop.example"})),
    ],
)
def test_the_settings_say_to_whom(tmp_path: Path, text: str, recipients: frozenset[str] | None) -> None:
    (tmp_path / "journeys.yaml").write_text(text, encoding="utf-8")
    assert load_settings(tmp_path, {}).recipients == recipients


def test_a_recipient_is_an_address(tmp_path: Path) -> None:
    (tmp_path / "journeys.yaml").write_text("recipients: me@shop.example\n", encoding="utf-8")
    with pytest.raises(ProblemsFound):
        load_settings(tmp_path, {})


def test_a_send_says_what_becomes_of_a_message_that_may_have_arrived(sqlite_database: Database) -> None:
    steps = """
    steps:
      - {id: hello, send: {channel: email, topic: receipts, on_unknown: hold}}
      - {id: other, send: {channel: email, topic: receipts}}
    """
    shop = Shop(sqlite_database, files_of("", {"demo": journey(steps)}))
    shop.identify("ana")
    shop.arrive([shop.event("ana", "Signed Up")])
    shop.tick(START)
    sink = Sink(answers={"ana": Unknown("nobody knows")})
    deliver(sqlite_database, shop.versions, {"email": sink}, START)
    assert {status for status, _ in became(shop).values()} == {"unknown"}
    resend_unknown(sqlite_database, shop.versions, START)
    assert became(shop) == {
        "ana/hello": ("unknown", "nobody knows"),
        "ana/other": ("ready", "possible_duplicate"),
    }


RECEIPT = "  - {id: bill, send: {channel: email, template: hello, topic: receipts}}\n"
OFFER = "  - {id: deal, send: {channel: email, template: hello}}\n"


@pytest.mark.parametrize(
    ("step", "old", "new", "reason"),
    [
        (RECEIPT, "Receipts, opt_in: none", "Receipts, opt_in: explicit", "no_consent"),
        (OFFER, "opt_in: explicit}", "opt_in: explicit, stale_after: 2h}", "consent_stale"),
    ],
    ids=["consent", "stale"],
)
@pytest.mark.parametrize("ready", [False, True], ids=["ahead", "ready"])
def test_a_stricter_consent_holds_for_who_finishes_an_older_version(
    sqlite_database: Database, step: str, old: str, new: str, reason: str, ready: bool
) -> None:
    tour = Tour(sqlite_database, wait("rest", "1d") + step, pace=LIVE)
    tour.identify("ana")
    if step == OFFER:
        tour.consent("ana")
    tour.arrive([tour.event("ana", "Signed Up", plan="pro", seats=3)])
    tour.until(START)
    stricter = CATALOG.replace(old, new, 1)
    assert stricter != CATALOG
    tour.change_to(files(wait("rest", "1d") + step, catalog=stricter), START + (DAY if ready else HOUR))
    tour.until(START + DAY)
    deliver(sqlite_database, tour.versions, {"email": Sink()}, START + DAY)
    assert [*became(tour).values()] == [("blocked", reason)]
