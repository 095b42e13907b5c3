"""Messages are handed over once each, whatever the channel answers and whoever interferes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sqlalchemy_event

from channels.base import Message, Rejected, RetryLater, Sent, Unknown
from channels.file import FileChannel, file_name
from runner.engine.deliver import LEASE, Delivered, Unrecorded, deliver
from runner.engine.outcome import LONGEST_RETRY, retry_delay
from runner.engine.recover import recover
from runner.store.database import Database
from runner.store.sending import messages
from runner.store.sending.messages import Change, written
from runner.store.tables import ConsentState, MessageStatus
from tests.shop import FILES, START, Shop, Sink

LATER = START + timedelta(hours=1)


@pytest.fixture
def shop(database: Database) -> Shop:
    return Shop(database)


def hand_over(shop: Shop, sink: Any, now: Any = START, **options: Any) -> Delivered:
    return deliver(shop.database, shop.versions, {"email": sink}, now, **options)


def test_a_message_is_rendered_sent_and_recorded(shop: Shop) -> None:
    sink = Sink()
    shop.sign_up("ana", first_name="Ana & Co")
    assert hand_over(shop, sink) == Delivered(claimed=1, sent=1)
    (message,) = sink.messages
    assert message.subject == "Hello Ana & Co"
    assert message.text == "Hello Ana & Co, 3 seats.\n"
    assert message.html is not None
    assert "<p>Hello Ana &amp; Co, 3 seats.</p>" in message.html
    assert "Your plan is pro</div>" in message.html
    assert (message.recipient, message.sender_name, message.sender_address) == (
        "ana@x.example",
        "Shop",
        "hello@shop.example",
    )
    assert message.let_go_at == START
    row = shop.ledger()["ana/hello"]
    assert (row.status, row.provider_id, row.sent_at, row.attempts) == ("sent", "id-1", START, 1)
    assert hand_over(shop, sink) == Delivered()


def test_a_batch_is_limited_and_the_longest_waiting_go_first(shop: Shop) -> None:
    sink = Sink()
    for hour, key in enumerate(["c", "a", "b"]):
        shop.sign_up(key, at=START + timedelta(hours=hour))
    now = START + timedelta(hours=2)
    assert hand_over(shop, sink, now, limit=2).sent == 2
    assert sink.contacts == ["c", "a"]
    assert hand_over(shop, sink, now, limit=2).sent == 1
    assert sink.contacts == ["c", "a", "b"]


def test_a_message_is_not_due_before_its_instant(shop: Shop) -> None:
    shop.sign_up("ana")
    assert hand_over(shop, Sink(), START - timedelta(microseconds=1)) == Delivered()


def test_keys_differ_between_messages_and_hold_between_attempts(shop: Shop) -> None:
    sink = Sink(answers={"ana": RetryLater("busy"), "bob": RetryLater("busy")})
    shop.sign_up("ana", "bob")
    hand_over(shop, sink)
    hand_over(shop, sink, LATER)
    keys = [message.idempotency_key for message in sink.messages]
    assert len(keys) == 4
    assert len(set(keys)) == 2
    assert sink.messages[0].let_go_at == sink.messages[-1].let_go_at == START


@pytest.mark.parametrize(
    ("answer", "status", "counted"),
    [
        (Rejected("550 never"), "failed", Delivered(claimed=1, failed=1)),
        (Unknown("silence"), "unknown", Delivered(claimed=1, unknown=1)),
        (RetryLater("451 later"), "ready", Delivered(claimed=1, retried=1)),
        (RuntimeError("a bug"), "unknown", Delivered(claimed=1, unknown=1)),
    ],
)
def test_the_answer_decides(shop: Shop, answer: Any, status: str, counted: Delivered) -> None:
    shop.sign_up("ana")
    assert hand_over(shop, Sink(answers={"ana": answer})) == counted
    row = shop.ledger()["ana/hello"]
    assert row.status == status
    assert row.reason == (
        "a bug in the channel: RuntimeError" if isinstance(answer, Exception) else answer.reason
    )


def test_one_answer_does_not_touch_the_neighbours(shop: Shop) -> None:
    shop.sign_up("ana", "bob", "eve", "ida")
    sink = Sink(answers={"ana": Rejected("no"), "bob": Unknown("?"), "eve": RetryLater("later")})
    assert hand_over(shop, sink) == Delivered(claimed=4, sent=1, failed=1, unknown=1, retried=1)
    assert shop.statuses() == {
        "ana/hello": "failed",
        "bob/hello": "unknown",
        "eve/hello": "ready",
        "ida/hello": "sent",
    }


def test_retries_wait_longer_and_longer_and_obey_the_other_side(shop: Shop) -> None:
    shop.sign_up("ana", "bob")
    sink = Sink(answers={"ana": RetryLater("busy"), "bob": RetryLater("busy", timedelta(hours=2))})
    hand_over(shop, sink)
    ledger = shop.ledger()
    first = ledger["ana/hello"].available_at - START
    assert timedelta(seconds=22) < first < timedelta(seconds=38)
    assert ledger["bob/hello"].available_at == START + timedelta(hours=2)
    assert hand_over(shop, sink, START + first - timedelta(microseconds=1)) == Delivered()
    assert hand_over(shop, sink, START + first).retried == 1


def test_delays_double_up_to_a_bound_and_differ_between_messages() -> None:
    delays = [retry_delay("k", attempt) for attempt in range(1, 40)]
    assert delays == [retry_delay("k", attempt) for attempt in range(1, 40)]
    assert delays[0] < delays[1] < delays[2] < delays[3]
    assert max(delays) <= LONGEST_RETRY * 1.25
    assert len({retry_delay(f"{number}", 1) for number in range(50)}) == 50


def test_a_channel_that_cannot_be_reached_is_not_asked_for_every_message(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    shop.sign_up(*(f"c{number}" for number in range(10)))
    sink = Sink(answers={"c0": RetryLater("connection refused", unreachable=True)})
    assert hand_over(shop, sink) == Delivered(claimed=10, retried=10)
    assert sink.contacts == ["c0"]
    (told,) = (vars(record) for record in caplog.records if "cannot be reached" in record.message)
    assert (told["channel"], told["error"]) == ("email", "connection refused")
    sink.answers.clear()
    assert hand_over(shop, sink, LATER) == Delivered(claimed=10, sent=10)


def test_consent_is_looked_at_once_more(shop: Shop) -> None:
    shop.sign_up("ana", "bob", "eve", "ida")
    shop.consent("ana", ConsentState.WITHDRAWN)
    shop.consent("bob", ConsentState.WITHDRAWN, channel="email")
    shop.consent("eve", ConsentState.WITHDRAWN, channel="sms")
    sink = Sink()
    assert hand_over(shop, sink) == Delivered(claimed=4, sent=2, blocked=2)
    assert sink.contacts == ["eve", "ida"]
    assert shop.ledger()["ana/hello"].reason == "no_consent"
    assert shop.ledger()["bob/hello"].status == "blocked"


def test_transactional_messages_need_no_consent(database: Database) -> None:
    journey = FILES["journeys/greet/journey.yaml"].replace("topic: offers", "topic: receipts")
    shop = Shop(database, {**FILES, "journeys/greet/journey.yaml": journey})
    shop.sign_up("ana")
    shop.consent("ana", ConsentState.WITHDRAWN)
    assert hand_over(shop, Sink()).sent == 1


def test_a_message_that_waited_too_long_is_expired(shop: Shop) -> None:
    shop.sign_up("ana", "bob")
    sink = Sink(answers={"ana": RetryLater("busy"), "bob": RetryLater("busy")})
    hand_over(shop, sink)
    sink.answers.clear()
    assert hand_over(shop, sink, START + timedelta(hours=6), limit=1).sent == 1
    assert hand_over(shop, sink, START + timedelta(hours=6, seconds=1)).blocked == 1
    assert [row.reason for row in shop.ledger().values() if row.status == "blocked"] == ["expired"]


def test_in_exact_time_a_message_leaves_at_the_instant_that_let_it_go(shop: Shop) -> None:
    shop.sign_up("ana")
    shop.consent("ana", ConsentState.WITHDRAWN)
    month_later = START + timedelta(days=30)
    assert hand_over(shop, Sink(), month_later, exact=True).sent == 1
    assert shop.ledger()["ana/hello"].sent_at == START


def test_a_template_that_always_fails_is_set_aside_with_its_line(database: Database) -> None:
    total = "{% if contact.vip %}{{ trigger.seats + contact.first_name }}{% endif %}"
    broken = FILES["journeys/greet/hello.html"].replace("{{ trigger.seats }}", total)
    shop = Shop(database, {**FILES, "journeys/greet/hello.html": broken})
    shop.sign_up("ana", first_name="Ana", vip=True)
    shop.sign_up("bob", first_name="Bob")
    sink = Sink()
    assert hand_over(shop, sink) == Delivered(claimed=2, sent=1, failed=1)
    assert shop.ledger()["ana/hello"].reason == "journeys/greet/hello.html:7: `+` is for numbers here"
    assert sink.contacts == ["bob"]


def test_a_header_with_a_line_break_is_set_aside_and_the_neighbours_leave(shop: Shop) -> None:
    shop.sign_up("ana", first_name="Ana\nBcc: everybody@x.example")
    shop.sign_up("bob", first_name="Bob")
    sink = Sink()
    assert hand_over(shop, sink) == Delivered(claimed=2, sent=1, failed=1)
    reason = shop.ledger()["ana/hello"].reason
    assert reason.startswith("journeys/greet/hello.html:2: ")
    assert "everybody" not in reason


def test_a_run_that_ends_takes_its_message_back(shop: Shop) -> None:
    shop.sign_up("ana")
    shop.arrive([shop.event("ana", "Left", START + timedelta(minutes=1))])
    shop.tick(START + timedelta(minutes=1))
    assert shop.statuses() == {"ana/hello": "cancelled"}
    assert hand_over(shop, Sink(), LATER) == Delivered()


def test_a_message_that_is_cancelled_after_it_was_claimed_stays_here(shop: Shop) -> None:
    shop.sign_up("ana", "bob")

    def leave(message: Message) -> None:
        if message.contact == "ana":
            shop.arrive([shop.event("bob", "Left", START + timedelta(minutes=1))])
            shop.tick(START + timedelta(minutes=1))

    sink = Sink(on_send=leave)
    assert hand_over(shop, sink) == Delivered(claimed=2, sent=1, skipped=1)
    assert sink.contacts == ["ana"]
    assert shop.statuses() == {"ana/hello": "sent", "bob/hello": "cancelled"}


def test_what_is_being_handed_over_is_already_committed_as_such(shop: Shop) -> None:
    shop.sign_up("ana", "bob", "eve")
    seen: list[dict[str, str]] = []
    hand_over(shop, Sink(on_send=lambda message: seen.append(shop.statuses())))
    assert seen == [
        {"ana/hello": "sending", "bob/hello": "claimed", "eve/hello": "claimed"},
        {"ana/hello": "sent", "bob/hello": "sending", "eve/hello": "claimed"},
        {"ana/hello": "sent", "bob/hello": "sent", "eve/hello": "sending"},
    ]


def test_two_workers_never_hold_the_same_message(shop: Shop) -> None:
    shop.sign_up(*(f"c{number:02}" for number in range(10)))
    other = Sink()
    inner: list[Delivered] = []

    def meanwhile(message: Message) -> None:
        if not inner:
            inner.append(hand_over(shop, other, limit=100))

    sink = Sink(on_send=meanwhile)
    assert hand_over(shop, sink, limit=4).sent == 4
    assert inner == [Delivered(claimed=6, sent=6)]
    assert sorted(sink.contacts + other.contacts) == [f"c{number:02}" for number in range(10)]


def test_stopping_hands_back_what_was_not_begun(shop: Shop) -> None:
    shop.sign_up("ana", "bob", "eve")
    sink = Sink()
    counted = hand_over(shop, sink, stopping=lambda: len(sink.messages) == 1)
    assert counted == Delivered(claimed=3, sent=1, skipped=2)
    assert shop.statuses() == {"ana/hello": "sent", "bob/hello": "ready", "eve/hello": "ready"}
    assert hand_over(shop, sink) == Delivered(claimed=2, sent=2)


def test_a_slow_batch_is_handed_back_before_its_lease_runs_out(shop: Shop) -> None:
    shop.sign_up("ana", "bob", "eve")
    sink = Sink()
    counted = hand_over(shop, sink, clock=lambda: START + timedelta(minutes=1) * len(sink.messages))
    assert counted == Delivered(claimed=3, sent=2, skipped=1)
    assert shop.statuses()["eve/hello"] == "ready"


def test_a_channel_or_a_version_that_this_process_does_not_know_makes_messages_wait(shop: Shop) -> None:
    shop.sign_up("ana")
    assert deliver(shop.database, shop.versions, {}, START) == Delivered(claimed=1, retried=1)
    assert hand_over(shop, Sink(), LATER).sent == 1


def test_the_last_message_of_a_run_leaves_though_its_version_was_replaced(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana")
    hand_over(shop, Sink())
    end = START + timedelta(days=1)
    shop.tick(end)  # the run sends its last message and ends
    changed = {**FILES, "journeys/greet/hello.txt": "Another text.\n"}
    replaced = Shop(database, changed)
    sink = Sink()
    assert hand_over(replaced, sink, end).sent == 1
    assert sink.contacts == ["ana"]


# Crashes -----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """Stands for the death of the process: nothing catches it."""


def die(message: Message) -> None:
    raise Killed


def test_claims_of_a_dead_process_are_ready_again_and_only_what_was_on_its_way_is_in_doubt(
    shop: Shop,
) -> None:
    shop.sign_up("ana", "bob", "eve")
    with pytest.raises(Killed):
        hand_over(shop, Sink(on_send=die))
    assert shop.statuses() == {"ana/hello": "sending", "bob/hello": "claimed", "eve/hello": "claimed"}
    sink = Sink()
    assert recover(shop.database, {"email": sink}, START + LEASE - timedelta(seconds=1)) == Delivered()
    assert hand_over(shop, sink, START + LEASE - timedelta(seconds=1)) == Delivered()
    assert recover(shop.database, {"email": sink}, START + LEASE) == Delivered(unknown=1, retried=2)
    assert hand_over(shop, sink, START + LEASE) == Delivered(claimed=2, sent=2)
    assert shop.statuses() == {"ana/hello": "unknown", "bob/hello": "sent", "eve/hello": "sent"}


class DyingFile(FileChannel):
    """Dies in the middle of the message number ``last``, before or after its file appears."""

    def __init__(self, folder: Path, last: int, *, after: bool) -> None:
        super().__init__(folder)
        self._left, self._after = last, after

    def send(self, message: Message) -> Any:
        self._left -= 1
        if self._left <= 0 and not self._after:
            raise Killed
        result = super().send(message)
        if self._left <= 0:
            raise Killed
        return result


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("last", [1, 2, 5])
def test_the_file_channel_knows_what_was_written(shop: Shop, tmp_path: Path, last: int, after: bool) -> None:
    shop.sign_up("a", "b", "c", "d", "e")
    with pytest.raises(Killed):
        hand_over(shop, DyingFile(tmp_path, last, after=after))
    written = last if after else last - 1
    channel = FileChannel(tmp_path)
    assert recover(shop.database, {"email": channel}, START + LEASE) == Delivered(
        sent=written, retried=5 - written
    )
    assert hand_over(shop, channel, START + LEASE).sent == 5 - written
    assert set(shop.statuses().values()) == {"sent"}
    names = [row.provider_id for row in shop.ledger().values()]
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())


def test_a_result_that_comes_after_the_lease_is_still_the_truth(shop: Shop) -> None:
    shop.sign_up("ana")
    sink = Sink(on_send=lambda message: recover(shop.database, {"email": Sink()}, START + LEASE))
    assert hand_over(shop, sink).sent == 1
    assert shop.statuses() == {"ana/hello": "sent"}


def test_a_result_of_a_lost_attempt_changes_nothing(shop: Shop) -> None:
    shop.sign_up("ana")
    with shop.database.begin() as connection:
        (claimed,) = messages.claim(connection, now=START, lease_until=START + LEASE, limit=9)
    recover(shop.database, {}, START + LEASE)
    with shop.database.begin() as connection:
        (again,) = messages.claim(connection, now=START + LEASE, lease_until=LATER, limit=9)
        assert again.held.attempts == 2
        stale = [Change(held=claimed.held, to=MessageStatus.SENDING, lease_until=LATER)]
        assert messages.change(connection, MessageStatus.CLAIMED, stale) == frozenset()
        late = [Change(held=claimed.held, to=MessageStatus.SENT, sent_at=LATER)]
        assert messages.record(connection, written(MessageStatus.SENDING, late)) == set()
    assert shop.statuses() == {"ana/hello": "claimed"}


def test_impossible_transitions_are_refused(shop: Shop) -> None:
    shop.sign_up("ana")
    with shop.database.begin() as connection:
        (claimed,) = messages.claim(connection, now=START, lease_until=LATER, limit=9)
        with pytest.raises(ValueError, match="never becomes"):
            messages.change(
                connection, MessageStatus.CLAIMED, [Change(held=claimed.held, to=MessageStatus.SENT)]
            )
        with pytest.raises(ValueError, match="never becomes"):
            messages.change(
                connection, MessageStatus.SENT, [Change(held=claimed.held, to=MessageStatus.READY)]
            )


def test_results_survive_a_database_that_goes_away(shop: Shop) -> None:
    shop.sign_up("ana", "bob")
    away: list[bool] = []

    def fails(connection: Any) -> None:
        if away:
            raise ConnectionError("the database is away")

    sqlalchemy_event.listen(shop.database.engine, "begin", fails)
    unrecorded = Unrecorded()
    sink = Sink(on_send=lambda message: away.append(True))
    try:
        with pytest.raises(ConnectionError):
            hand_over(shop, sink, unrecorded=unrecorded)
        assert sink.contacts == ["ana"]
        away.clear()
        sink.on_send = None
        assert hand_over(shop, sink, unrecorded=unrecorded) == Delivered(sent=1)
        assert unrecorded.changes == []
        recover(shop.database, {"email": sink}, START + LEASE)
        assert hand_over(shop, sink, START + LEASE) == Delivered(claimed=1, sent=1)
    finally:
        sqlalchemy_event.remove(shop.database.engine, "begin", fails)
    assert sink.contacts == ["ana", "bob"]
    assert set(shop.statuses().values()) == {"sent"}


def test_the_file_of_a_message_can_be_found_from_its_row_alone(shop: Shop, tmp_path: Path) -> None:
    shop.sign_up("ana/../x")
    sink = Sink()
    hand_over(shop, sink)
    assert isinstance(FileChannel(tmp_path).send(sink.messages[0]), Sent)
    assert file_name(sink.messages[0]) == next(tmp_path.iterdir()).name


def test_a_batch_takes_a_handful_of_statements(shop: Shop, tmp_path: Path) -> None:
    shop.sign_up(*(f"c{number}" for number in range(150)))
    statements: list[str] = []

    def count(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        statements.append(statement)

    sqlalchemy_event.listen(shop.database.engine, "before_cursor_execute", count)
    try:
        channel = FileChannel(tmp_path, durable=False)
        assert hand_over(shop, channel, exact=True, limit=1_000).sent == 150
    finally:
        sqlalchemy_event.remove(shop.database.engine, "before_cursor_execute", count)
    assert len([statement for statement in statements if "message" in statement]) <= 6


def test_what_is_on_its_way_when_its_run_ends_is_not_tried_again(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("anna")
    sink = Sink(answers={"anna": RetryLater("busy")})

    def leave(_message: Message) -> None:
        shop.arrive([shop.event("anna", "Left", START)])
        shop.tick(START)

    sink.on_send = leave
    hand_over(shop, sink)
    later = START + timedelta(hours=1)
    sink.answers.clear()
    hand_over(shop, sink, later)
    assert sink.contacts == ["anna"]
    assert shop.statuses() == {"anna/hello": "blocked"}
