"""The figures of a process: each is told in the documentation, and says what happened."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from documents import ROOT
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from watched import NOW, Beat, Process, at_once, seen, signs

from channels.base import Channel, Message, Recoverable, Rejected, Result, RetryLater, Sent, Unknown
from channels.file import FileChannel
from runner.clock import utc_now
from runner.daemon.daemon import Daemon, Pulse
from runner.daemon.observe.health import Seen, look
from runner.daemon.observe.lately import Lately
from runner.daemon.observe.metrics import Metrics, States, counted_messages
from runner.daemon.once import run_once
from runner.engine.deliver import Delivered
from runner.engine.tick import Ticked
from runner.engine.versions import Versions
from runner.problem import JourneysError
from runner.settings import default_database
from runner.store.database import Database
from runner.store.migrations import Standing
from runner.store.tables import MessageStatus
from runner.store.watching.vital_signs import Some, VitalSigns
from tests.shop import FILES, START, Shop, Sink
from tests.written import write_files

OBSERVE = ROOT / "docs" / "observe.md"


def figures(metrics: Metrics) -> dict[str, float]:
    """Each sample by what Prometheus shows: ``name{label="value"}``."""
    text, _ = metrics.text()
    return {
        name: float(value)
        for name, value in re.findall(r"^([a-z_]+(?:\{[^\n]*\})?) (\S+)$", text.decode(), re.MULTILINE)
    }


def watched(
    process: Process | None = None, what: Seen | None = None, states: States | None = None
) -> Metrics:
    metrics = Metrics(clock=lambda: NOW)
    metrics.watch(process or Process(), at_once(lambda: what or seen()), Lately(lambda: states or {}))
    return metrics


def message(let_go_seconds_ago: float = 0) -> Message:
    return Message(
        idempotency_key="0" * 64,
        recipient="ana@example.com",
        let_go_at=NOW - timedelta(seconds=let_go_seconds_ago),
        journey="greet",
        step="hello",
        contact="ana",
        locale="en",
    )


# What is told ------------------------------------------------------------------------------------------------------


def test_every_metric_is_in_the_table_and_the_other_way_round() -> None:
    text, _ = watched().text()
    real = {family.name: family.type for family in text_string_to_metric_families(text.decode())}
    # In this form of the text an info is a gauge, and a counter has its ending.
    real["journeys_build"] = "info" if real.pop("journeys_build_info") else ""
    ours = {name: kind for name, kind in real.items() if name.startswith("journeys_")}
    told = dict(
        re.findall(r"^\| `(journeys_\w+)` \| (\w+) \|", OBSERVE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert told == ours
    assert {name.split("_")[0] for name in real} == {"journeys", "process"}


def test_names_have_units_and_say_what_they_are() -> None:
    text, _ = watched().text()
    for family in text_string_to_metric_families(text.decode()):
        assert family.documentation.endswith("."), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds")


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "text/plain; version=0.0.4"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            "application/openmetrics-text; version=1.0.0",
        ),
    ],
)
def test_both_forms_of_the_text_can_be_read(accept: str, media_type: str) -> None:
    metrics = watched()
    metrics.ticked(Ticked(contacts=1, passes=2, more=True), 0.5)
    text, told = metrics.text(accept)
    assert told.startswith(media_type)
    read = open_metrics if accept else text_string_to_metric_families
    assert "journeys_tick_contacts" in {family.name for family in read(text.decode())}


# What is counted where the work is done ----------------------------------------------------------------------------


def test_ticks_are_counted_with_their_outcome() -> None:
    metrics = Metrics()
    metrics.ticked(Ticked(contacts=7, passes=3, more=True), 0.2)
    metrics.ticked(Ticked(contacts=0, passes=0, more=False), 0.002)
    metrics.ticked(Ticked(contacts=0, passes=0, more=False, outdated=True), 0.001)
    found = figures(metrics)
    assert found["journeys_tick_contacts_total"] == 7
    assert found["journeys_tick_passes_total"] == 3
    for outcome in ("worked", "idle", "outdated"):
        assert found[f'journeys_tick_duration_seconds_count{{outcome="{outcome}"}}'] == 1
    assert found['journeys_tick_duration_seconds_bucket{le="0.25",outcome="worked"}'] == 1
    assert found['journeys_tick_duration_seconds_bucket{le="0.1",outcome="worked"}'] == 0


def test_messages_are_counted_with_what_became_of_them() -> None:
    metrics = Metrics()
    metrics.delivered(Delivered(claimed=5, sent=3, retried=1, unknown=1))
    metrics.recovered(Delivered(unknown=2))
    metrics.resent(4)
    found = figures(metrics)
    assert found['journeys_messages_handled_total{outcome="sent"}'] == 3
    assert found['journeys_messages_handled_total{outcome="unknown"}'] == 1
    assert found['journeys_messages_handled_total{outcome="failed"}'] == 0
    assert found['journeys_messages_recovered_total{outcome="unknown"}'] == 2
    assert found["journeys_messages_resent_total"] == 4


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Sent("id"), "sent"),
        (RetryLater("busy"), "retry_later"),
        (Rejected("no"), "rejected"),
        (Unknown("silence"), "unknown"),
        (ZeroDivisionError("a bug"), "unknown"),
    ],
)
def test_handing_over_is_measured_and_its_answer_is_that_of_the_channel(
    answer: Result | Exception, result: str, sqlite_database: Database
) -> None:
    metrics = Metrics(clock=lambda: NOW)
    shop = Shop(sqlite_database)
    opened = metrics.measured(lambda versions: {"email": Sink(answers={"ana": answer})})(shop.versions)
    channel = opened["email"]
    assert not isinstance(channel, Recoverable)
    if isinstance(answer, Exception):
        with pytest.raises(ZeroDivisionError):
            channel.send(message())
    else:
        assert channel.send(message(let_go_seconds_ago=40)) == answer
    found = figures(metrics)
    labels = f'channel="email",result="{result}"'
    assert found[f"journeys_channel_send_duration_seconds_count{{{labels}}}"] == 1
    assert found.get('journeys_delivery_latency_seconds_sum{channel="email"}') == (
        40 if isinstance(answer, Sent) else None
    )


def test_a_channel_that_can_be_asked_can_still_be_asked(tmp_path: Path, sqlite_database: Database) -> None:
    metrics = Metrics(clock=lambda: NOW)
    real = FileChannel(tmp_path)
    opened = metrics.measured(lambda versions: {"email": real})(Shop(sqlite_database).versions)
    channel = opened["email"]
    assert isinstance(channel, Recoverable)
    sent = channel.send(message())
    assert isinstance(sent, Sent)
    assert channel.look_up(message()) == real.look_up(message()) == sent


def test_the_clock_of_another_machine_makes_no_latency_negative() -> None:
    metrics = Metrics(clock=lambda: NOW)
    metrics.handed_over("email", message(let_go_seconds_ago=-5), Sent(), 0.1)
    assert figures(metrics)['journeys_delivery_latency_seconds_sum{channel="email"}'] == 0


# What is read when somebody asks -----------------------------------------------------------------------------------


def test_lags_are_counted_from_the_oldest() -> None:
    at = NOW - timedelta(seconds=90)
    found = figures(watched(what=seen(due=at, event_at=at - timedelta(days=1), event_received_at=at)))
    assert found["journeys_oldest_due_run_lag_seconds"] == 90
    assert found["journeys_oldest_unhandled_event_lag_seconds"] == 90
    assert found["journeys_oldest_ready_message_lag_seconds"] == 0
    nothing = figures(watched())
    assert nothing["journeys_oldest_due_run_lag_seconds"] == 0


def test_what_waits_is_counted() -> None:
    ready, unknown = Some(count=4, oldest=NOW - timedelta(minutes=1)), Some(count=2, oldest=NOW)
    some = signs()
    state = VitalSigns(
        at=NOW,
        partitions=some.partitions,
        ready=ready,
        lapsed=some.lapsed,
        unknown=unknown,
        set_aside=unknown,
    )
    found = figures(
        watched(
            what=Seen(
                signs=state,
                in_force=(("a", 1, "live", None), ("b", 2, "paused", NOW), ("c", 3, "live", NOW)),
                standing=Standing.CURRENT,
            )
        )
    )
    assert found["journeys_oldest_ready_message_lag_seconds"] == 60
    assert found['journeys_messages_waiting{state="ready"}'] == 4
    assert found['journeys_messages_waiting{state="unknown"}'] == 2
    assert found["journeys_runs_set_aside"] == 2
    assert found['journeys_in_force{state="live"}'] == 2
    assert found['journeys_in_force{state="paused"}'] == 1


def test_stages_are_named_without_their_process() -> None:
    process = Process([Beat(name="deliver 4711/2", silent=timedelta(seconds=30), failures=3)])
    found = figures(watched(process))
    assert found['journeys_stage_last_beat_timestamp_seconds{stage="deliver 2"}'] == NOW.timestamp() - 30
    assert found['journeys_stage_failures_total{stage="deliver 2"}'] == 3


def test_reasons_are_words_of_ours_and_never_what_a_server_said() -> None:
    states = {
        (MessageStatus.BLOCKED, "no_consent"): 3,
        (MessageStatus.BLOCKED, "550 <ana@example.com> unknown"): 2,
        (MessageStatus.SENT, None): 9,
    }
    metrics = watched(states=states)
    found = figures(metrics)
    assert found['journeys_messages{reason="no_consent",state="blocked"}'] == 3
    assert found['journeys_messages{reason="",state="blocked"}'] == 2
    assert found['journeys_messages{reason="",state="sent"}'] == 9
    assert b"ana@" not in metrics.text()[0]


def test_without_a_database_the_process_still_tells_of_itself() -> None:
    def away() -> Seen:
        raise JourneysError("away")

    metrics = Metrics(clock=lambda: NOW)
    metrics.watch(Process(), at_once(away), Lately(dict))
    found = figures(metrics)
    assert found["journeys_database_up"] == 0
    assert "journeys_oldest_due_run_lag_seconds" not in found
    assert found['journeys_stage_failures_total{stage="tick"}'] == 0


def test_while_messages_are_counted_the_last_count_stands() -> None:
    counts = iter([{(MessageStatus.SENT, None): 9}])

    def count() -> States:
        found = next(counts, None)
        if found is None:
            raise TimeoutError
        return found

    metrics = Metrics(clock=lambda: NOW)
    metrics.watch(Process(), at_once(seen), Lately(count, fresh=0))
    for _ in range(2):
        found = figures(metrics)
        assert found['journeys_messages{reason="",state="sent"}'] == 9
        assert found["journeys_database_up"] == 1


# A real daemon -----------------------------------------------------------------------------------------------------


def test_a_daemon_counts_what_it_does(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'journeys.db'}")
    try:
        shop, sink = Shop(database), Sink()
        shop.identify("ana")
        shop.arrive([shop.event("ana", "Signed Up", START, plan="pro", seats=1)])
        metrics = Metrics(clock=lambda: START)

        def opened(versions: Versions) -> Mapping[str, Channel]:
            if not sink.messages and metrics.registry.get_sample_value("journeys_tick_contacts_total") == 0:
                raise JourneysError("channel email: not yet")
            return {"email": sink}

        daemon = Daemon(
            database,
            metrics.measured(opened),
            Pulse(every=timedelta(seconds=1)),
            clock=lambda: START,
            metrics=metrics,
        )
        metrics.watch(daemon, at_once(lambda: look(database, lambda: START)), counted_messages(database))
        ticking, delivering, *_ = daemon.stages
        assert (delivering.worked, delivering.failure) == (False, None)
        delivering.run()
        assert (delivering.worked, delivering.failure, delivering.failures) == (
            False,
            "channel email: not yet",
            1,
        )
        before = figures(metrics)
        assert before["journeys_oldest_unhandled_event_lag_seconds"] == 0
        assert before['journeys_in_force{state="live"}'] == 1
        ticking.run()
        delivering._not_before = 0
        delivering.run()
        assert (delivering.worked, delivering.failure, delivering.failures) == (True, None, 1)
        found = figures(metrics)
    finally:
        database.close()
    assert found["journeys_tick_contacts_total"] == 1
    assert found['journeys_messages_handled_total{outcome="sent"}'] == 1
    assert found['journeys_channel_send_duration_seconds_count{channel="email",result="sent"}'] == 1
    assert found['journeys_stage_failures_total{stage="deliver 1"}'] == 1


def test_messages_are_counted_by_state_and_reason(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana", "bob")
    sink = Sink(answers={"ana": Rejected("550 <ana@example.com> unknown")})
    run_once(database, lambda versions: {"email": sink}, START)
    assert counted_messages(database).ask() == {
        (MessageStatus.FAILED, None): 1,
        (MessageStatus.SENT, None): 1,
    }


def asked(place: tuple[str, int]) -> str:
    connection = http.client.HTTPConnection(*place, timeout=20)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def test_what_processes_of_their_own_deliver_is_in_the_figures_of_their_runner(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    database = Database.open(default_database(tmp_path))
    shop, now = Shop(database), utc_now()
    for name in ("ana", "bob", "eve"):
        shop.identify(name, now)
    shop.arrive(shop.event(name, "Signed Up", now, plan="pro", seats=1) for name in ("ana", "bob", "eve"))
    database.close()
    words = [
        "run",
        "--project",
        str(tmp_path),
        "--interval",
        "1s",
        "--workers",
        "2",
        "--listen",
        "127.0.0.1:0",
    ]
    runner = subprocess.Popen(
        [sys.executable, "-c", "from runner.cli import main; main()", *words],
        stderr=subprocess.PIPE,
        text=True,
    )
    alarm = threading.Timer(60, runner.kill)
    alarm.start()
    try:
        assert runner.stderr is not None
        first = json.loads(runner.stderr.readline())
        wanted = {
            'journeys_messages_handled_total{outcome="sent"} 3.0',
            'journeys_delivery_latency_seconds_count{channel="email"} 3.0',
            "journeys_tick_contacts_total 3.0",
            'journeys_in_force{state="live"} 1.0',
            "journeys_messages_resent_total 0.0",
        }
        missing = wanted
        while missing:
            told = asked((first["host"], first["port"])).splitlines()
            missing = wanted - set(told)
            time.sleep(0.05)
        assert not [line for line in told if line.startswith("#") and told.count(line) > 1]
        runner.send_signal(signal.SIGTERM)
        rest = runner.stderr.read()
        assert runner.wait() == 0, rest
    finally:
        alarm.cancel()
        runner.kill()
        runner.wait()
        assert runner.stderr is not None
        runner.stderr.close()


def test_a_version_that_is_none_gets_the_plain_text() -> None:
    _, media_type = Metrics(clock=utc_now).text("application/openmetrics-text;version=zzz")
    assert media_type.startswith("text/plain")
