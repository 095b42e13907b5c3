"""What becomes of messages that may or may not have arrived: by their topic's setting, and by an operator's word."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channels.base import Sent, Unknown
from runner.cli import run as journeys
from runner.cli.messages import STATES
from runner.daemon.once import run_once
from runner.engine.apply import apply_project
from runner.engine.deliver import Delivered, deliver
from runner.engine.doubt import MOST_ATTEMPTS, resend_unknown
from runner.journey.project import load_project
from runner.settings import default_database
from runner.store.audit import records
from runner.store.database import Database
from runner.store.sending import messages
from runner.store.tables import MessageStatus
from tests.shop import CATALOG, FILES, START, Shop, Sink
from tests.written import write_files

LATER = START + timedelta(minutes=5)
SILENT = Unknown("silence after the final dot")


def shop_with(database: Database, *, topic: str = "offers", on_unknown: str = "") -> Shop:
    """The shop whose messages belong to ``topic``; all its topics say ``on_unknown`` where it is given."""
    catalog = CATALOG.replace("}\n  receipts", f"{on_unknown}}}\n  receipts").replace(
        "opt_in: none}", f"opt_in: none{on_unknown}}}"
    )
    journey = FILES["journeys/greet/journey.yaml"].replace("topic: offers", f"topic: {topic}")
    return Shop(database, {**FILES, "journeys/catalog.yaml": catalog, "journeys/greet/journey.yaml": journey})


def hand_over(shop: Shop, sink: Sink, now: Any = START) -> Delivered:
    return deliver(shop.database, shop.versions, {"email": sink}, now)


# By the topic ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "on_unknown", "resends"),
    [
        ("offers", "", False),
        ("receipts", "", True),
        ("offers", ", on_unknown: resend", True),
        ("receipts", ", on_unknown: hold", False),
    ],
)
def test_the_topic_says_whether_an_unknown_message_is_sent_again(
    database: Database, topic: str, on_unknown: str, resends: bool
) -> None:
    shop = shop_with(database, topic=topic, on_unknown=on_unknown)
    shop.sign_up("ana")
    sink = Sink(answers={"ana": SILENT})
    hand_over(shop, sink)
    assert resend_unknown(database, shop.versions, START) == int(resends)
    sink.answers.clear()
    hand_over(shop, sink, LATER)
    row = shop.ledger()["ana/hello"]
    assert (row.status, row.reason) == (
        ("sent", "possible_duplicate") if resends else ("unknown", "silence after the final dot")
    )
    assert len({message.idempotency_key for message in sink.messages}) == 1
    assert len(sink.messages) == 1 + resends


def test_the_topic_is_as_the_version_in_force_has_it(database: Database) -> None:
    shop = shop_with(database)
    shop.sign_up("ana")
    hand_over(shop, Sink(answers={"ana": SILENT}))
    assert resend_unknown(database, shop.versions, START) == 0
    following = shop_with(database, on_unknown=", on_unknown: resend")
    assert resend_unknown(database, following.versions, START) == 1


def test_a_message_that_arrived_once_for_certain_is_no_possible_duplicate(database: Database) -> None:
    shop = shop_with(database, topic="receipts")
    shop.sign_up("ana", "bob")
    hand_over(shop, Sink(answers={"ana": SILENT}))
    resend_unknown(database, shop.versions, START)
    hand_over(shop, Sink(), LATER)
    assert {name: row.reason for name, row in shop.ledger().items()} == {
        "ana/hello": "possible_duplicate",
        "bob/hello": None,
    }


def test_a_receiver_that_never_answers_does_not_get_it_over_and_over(database: Database) -> None:
    shop = shop_with(database, topic="receipts")
    shop.sign_up("ana")
    sink = Sink(answers={"ana": SILENT})
    for hour in range(6):
        now = START + timedelta(minutes=30 * hour)
        resend_unknown(database, shop.versions, now)
        hand_over(shop, sink, now + timedelta(minutes=20))
    assert len(sink.messages) == MOST_ATTEMPTS
    assert shop.statuses() == {"ana/hello": "unknown"}


def test_what_has_expired_is_not_sent_again(database: Database) -> None:
    shop = shop_with(database, topic="receipts")
    shop.sign_up("ana")
    hand_over(shop, Sink(answers={"ana": SILENT}))
    assert resend_unknown(database, shop.versions, START + timedelta(hours=6)) == 0
    assert shop.statuses() == {"ana/hello": "unknown"}


def test_the_stages_send_it_again(database: Database) -> None:
    shop = shop_with(database, topic="receipts")
    shop.sign_up("ana")
    sink = Sink(answers={"ana": SILENT})
    run_once(database, lambda versions: {"email": sink}, START)
    sink.answers["ana"] = Sent("id")
    run_once(database, lambda versions: {"email": sink}, START + timedelta(minutes=1))
    run_once(database, lambda versions: {"email": sink}, LATER)
    assert shop.statuses() == {"ana/hello": "sent"}
    assert len(sink.messages) == 2


# By an operator ----------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_files(tmp_path, FILES)
    return tmp_path


@pytest.fixture
def shop(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Three messages of the present, of which nobody knows whether they arrived."""
    from runner.clock import utc_now

    database = Database.open(default_database(project))
    shop = Shop(database)
    now = utc_now()
    shop.sign_up("ana", "bob", "eve", at=now)
    hand_over(shop, Sink(answers=dict.fromkeys(("ana", "bob", "eve"), SILENT)), now)
    monkeypatch.setenv("USER", "tests")
    yield shop
    database.close()


def listed(project: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert journeys(["messages", "list", "--project", str(project), "--format", "json", *arguments]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["messages"]
    return found


def reconcile(project: Path, *arguments: str) -> int:
    return journeys(["messages", "reconcile", "--project", str(project), *arguments])


def test_until_when_a_message_is_leased_is_listed(
    project: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.sign_up("ida", at=LATER)
    with shop.database.begin() as connection:
        messages.claim(connection, now=LATER, lease_until=LATER + timedelta(minutes=2), limit=1)
    (held,) = listed(project, capsys, "--status", "claimed")
    until = LATER + timedelta(minutes=2)
    assert datetime.fromisoformat(held["lease_until"]) == until
    assert journeys(["messages", "list", "--project", str(project)]) == 0
    assert f"leased until {until:%Y-%m-%d %H:%M:%S}" in capsys.readouterr().out


def test_unknown_messages_are_listed(project: Path, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    found = listed(project, capsys)
    assert [(one["contact"], one["status"], one["reason"], one["attempts"]) for one in found] == [
        (name, "unknown", "silence after the final dot", 1) for name in ("ana", "bob", "eve")
    ]
    assert journeys(["messages", "list", "--project", str(project)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith(found[0]["key"][:12])
    assert "greet/hello" in lines[1]
    assert len(listed(project, capsys, "--journey", "greet", "--status", "unknown")) == 3
    assert listed(project, capsys, "--status", "sent") == []
    renamed = FILES["journeys/greet/journey.yaml"].replace("id: hello", "id: welcome")
    renamed = renamed.replace("topic: offers", "topic: offers\nmoved: {hello: welcome}")
    changed = load_project({**FILES, "journeys/greet/journey.yaml": renamed})
    apply_project(shop.database, changed, now=LATER, author="tests", git_commit=None)
    assert {(one["step"], one["step_now"]) for one in listed(project, capsys)} == {("hello", "welcome")}
    assert journeys(["messages", "list", "--project", str(project)]) == 0
    assert "greet/hello (now welcome)" in capsys.readouterr().out


def test_the_newest_come_first_whatever_their_state(
    project: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    from runner.clock import utc_now

    shop.sign_up("fay", at=utc_now() + timedelta(minutes=1))
    found = listed(project, capsys)
    assert [(one["contact"], one["status"]) for one in found] == [
        ("fay", "ready"),
        *((name, "unknown") for name in ("ana", "bob", "eve")),
    ]
    command = ["messages", "list", "--project", str(project), "--limit", "3"]
    assert journeys([*command, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert ([one["contact"] for one in told["messages"]], told["more"]) == (["fay", "ana", "bob"], 1)
    assert journeys(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[-1] == "ready"
    assert lines[-1] == "1 more: `--limit 4` shows all."


def test_nothing_found_says_what_was_looked_for(
    project: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["messages", "list", "--project", str(project), "--status", "sent"]
    assert journeys([*command, "--reason", "possible_duplicate", "--journey", "greet"]) == 0
    assert capsys.readouterr().out == "No message of greet with the reason possible_duplicate is sent.\n"
    assert journeys(command) == 0
    assert capsys.readouterr().out == "No message is sent.\n"
    assert journeys(["messages", "reconcile", "--journey", "greet", "--drop", "--yes", *command[2:4]]) == 0
    capsys.readouterr()
    assert journeys([*command[:4], "--status", "unknown"]) == 0
    assert capsys.readouterr().out == "No message is unknown.\n"
    assert journeys([*command[:4], "--reason", "possible_duplicate"]) == 0
    assert capsys.readouterr().out == "There is no message with the reason possible_duplicate.\n"


def test_an_unknown_journey_is_an_error(
    project: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    assert journeys(["messages", "list", "--project", str(project), "--journey", "great"]) == 1
    assert "There is no journey 'great'. Did you mean `greet`?" in capsys.readouterr().err
    assert reconcile(project, "--journey", "win-back", "--drop", "--yes") == 1
    assert "There is no journey 'win-back'. There are: `greet`." in capsys.readouterr().err


def test_each_decision_does_what_it_says_and_is_written_down(
    project: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = {one["contact"]: one["key"] for one in listed(project, capsys)}
    assert reconcile(project, keys["ana"][:12], "--sent") == 0
    assert reconcile(project, keys["bob"], "--resend") == 0
    assert reconcile(project, keys["eve"].upper(), "--drop") == 0
    rows = shop.ledger()
    assert {name: (row.status, row.reason) for name, row in rows.items()} == {
        "ana/hello": ("sent", None),
        "bob/hello": ("ready", "possible_duplicate"),
        "eve/hello": ("failed", "dropped by an operator"),
    }
    with shop.database.read() as connection:
        written = [one for one in records(connection) if one.what.startswith("messages reconcile")]
    assert [(one.what.split()[-1], one.detail) for one in written] == [
        (decision, {"messages": [keys[name]]})
        for decision, name in (("sent", "ana"), ("resend", "bob"), ("drop", "eve"))
    ]
    assert listed(project, capsys, "--reason", "possible_duplicate", "--status", "ready")


def test_all_of_a_journey_are_settled_after_a_yes(
    project: Path, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # no terminal: nobody is there to say yes
    assert reconcile(project, "--journey", "greet", "--drop") == 2
    assert set(shop.statuses().values()) == {"unknown"}
    assert reconcile(project, "--journey", "greet", "--drop", "--yes") == 0
    assert set(shop.statuses().values()) == {"failed"}
    assert reconcile(project, "--journey", "greet", "--drop", "--yes") == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["0123456789abcdef", "--sent"], 1),
        (["0123", "--sent"], 1),
        (["0123456789abcdef"], 2),
        (["--sent"], 2),
        (["0123456789abcdef", "--journey", "greet", "--sent"], 2),
    ],
)
def test_what_names_no_message_settles_none(
    project: Path, shop: Shop, arguments: list[str], code: int
) -> None:
    assert reconcile(project, *arguments) == code
    assert set(shop.statuses().values()) == {"unknown"}


def test_what_would_not_leave_any_more_is_not_resent(
    project: Path, shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    from runner.clock import utc_now

    old = utc_now() - timedelta(hours=7)
    shop.sign_up("ida", at=old)
    hand_over(shop, Sink(answers={"ida": SILENT}), old)
    assert reconcile(project, "--journey", "greet", "--resend", "--yes") == 1
    assert "would not leave any more" in capsys.readouterr().err
    assert shop.statuses()["ida/hello"] == "unknown"
    assert shop.statuses()["ana/hello"] == "ready"


def test_without_a_database_there_is_nothing_to_settle(tmp_path: Path) -> None:
    assert journeys(["messages", "list", "--project", str(tmp_path)]) == 1


@pytest.mark.parametrize("resent", [False, True])
def test_what_may_have_arrived_is_not_sent_again_once_its_run_has_ended(
    database: Database, resent: bool
) -> None:
    shop = shop_with(database, topic="receipts")
    shop.sign_up("ana")
    sink = Sink(answers={"ana": SILENT})
    hand_over(shop, sink)
    if resent:  # by now it waits to be handed over once more
        assert resend_unknown(database, shop.versions, START) == 1
    shop.arrive([shop.event("ana", "Left", START)])
    shop.tick(START)
    assert shop.statuses() == {"ana/hello": "unknown"}
    assert resend_unknown(database, shop.versions, LATER) == 0
    hand_over(shop, sink, LATER)
    assert len(sink.messages) == 1


def test_messages_in_every_state_can_be_listed() -> None:
    assert set(STATES) == set(MessageStatus)
