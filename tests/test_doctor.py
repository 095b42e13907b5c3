"""``journeys doctor``: each thing that can be wrong is found in a deployment where it is wrong, and told."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from golden import golden
from sqlalchemy import create_engine, delete, select, text, update

from runner.clock import utc_now
from runner.daemon.listener import listening
from runner.engine.pausing import pause_journey, resume_journey, stop_journey
from runner.engine.tick import Pace, tick
from runner.insight import overdue
from runner.insight.doctor import diagnose
from runner.insight.doctor_report import findings_json, findings_text
from runner.insight.examined import CheckedChannel, Disk, Examined, Measured, Watch, measure
from runner.insight.finding import Finding, Level
from runner.problem import Problem, Span
from runner.store.audit import VIRTUAL, record
from runner.store.database import Database
from runner.store.local_time.zones import ensure_zones, outdated_zones, refresh_zones
from runner.store.migrations import Standing
from runner.store.sending.pools import import_values
from runner.store.tables import (
    JourneyState,
    MessageStatus,
    RunStatus,
    message,
    pool_value,
    shard,
    zone_offset,
)
from runner.store.tables import run as run_table
from runner.store.watching.examination import Halted, Holder, Runner, SetAside, StandingRuns, Waiting
from runner.store.watching.vital_signs import MOST, PartitionSigns, Some, VitalSigns
from runner.store.work import wake
from tests.shop import FILES, GREET, START, Shop
from tests.test_poison import shop_of_time
from tests.waiting import until

MINUTE = timedelta(minutes=1)

HOUR = timedelta(hours=1)

DAY = timedelta(days=1)


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in findings]


def look(
    database: Database, now: datetime | Callable[[], datetime], pause: Callable[[], None] = lambda: None
) -> Measured:
    """What the database tells at ``now``, with a second and a third look at what lags."""
    clock = now if callable(now) else lambda: now
    return measure(database, MINUTE, Watch(clock=clock, pause=pause, looks=2))


def diagnosed(measured: Measured) -> tuple[Finding, ...]:
    """What is wrong but for the clock, which most of these tests set by hand."""
    by_hand = dataclasses.replace(measured, clock_ahead=timedelta())
    return diagnose(Examined(measured=by_hand, database="the database"))


# What is measured ----------------------------------------------------------------------------------------------------


def test_a_deployment_where_all_is_well(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana")
    assert diagnosed(look(database, START + MINUTE)) == ()


def test_nothing_in_force(database: Database) -> None:
    assert codes(diagnosed(look(database, START))) == ["journeys/none"]


def test_ticks_stalled(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana")
    measured = look(database, START + DAY + HOUR)
    finding = diagnosed(measured)[0]
    assert (finding.code, finding.level, finding.since) == ("ticks/stalled", Level.ERROR, START + DAY)
    assert finding.where is not None
    assert "first ana (greet/day)" in finding.where


@pytest.mark.parametrize("cause", ["broadcast", "schedule", "date"])
def test_what_time_should_have_started_is_stalled(database: Database, cause: str) -> None:
    shop, at = shop_of_time(database, cause, ["ana"])
    assert diagnosed(look(database, at)) == ()
    finding = diagnosed(look(database, at + HOUR))[0]
    assert (finding.code, finding.level, finding.since) == ("ticks/stalled", Level.ERROR, at)
    shop.tick(at + HOUR)
    assert "ticks/stalled" not in codes(diagnosed(look(database, at + HOUR)))


def test_virtual_time_is_late_for_nothing(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana")
    with database.begin() as connection:
        record(connection, at=START, who="tests", what=f"{VIRTUAL} 2026-01-01..2026-03-01")
    assert diagnosed(look(database, START + DAY + HOUR)) == ()


def test_runners_that_catch_up_are_no_error(database: Database) -> None:
    """A thousand who are due at the same instant move, though the oldest instant stays the same."""
    shop = Shop(database)
    shop.sign_up(*(f"c{number}" for number in range(40)))
    now = START + DAY + 5 * MINUTE

    def a_little() -> None:
        tick(database, shop.versions, now, Pace(contacts=database.deployment.partitions, passes=2))

    findings = [one for one in diagnosed(look(database, now, a_little)) if one.code.startswith("ticks")]
    assert [(one.code, one.level) for one in findings] == [("ticks/behind", Level.WARNING)]


def test_partitions_that_a_session_holds(postgres_database: Database, postgres_url: str) -> None:
    shop = Shop(postgres_database)
    shop.sign_up("ana")
    partition = shop.ledger()["ana/hello"].partition
    engine = create_engine(
        postgres_url.replace("postgresql://", "postgresql+psycopg://"),
        connect_args={"application_name": "somebody else"},
    )
    with postgres_database.read() as connection:
        schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    with engine.begin() as holder:
        holder.execute(text(f"SET search_path TO {schema}"))
        pid = holder.execute(text("SELECT pg_backend_pid()")).scalar_one()
        holder.execute(select(shard).where(shard.c.partition == partition).with_for_update())
        soon = diagnosed(look(postgres_database, lambda: utc_now()))
        assert "partitions/busy" in codes(soon)
        held = next(
            one
            for one in diagnosed(look(postgres_database, lambda: utc_now() + 2 * MINUTE))
            if one.code == "partitions/held"
        )
    assert f"somebody else, server process {pid}, idle in transaction" in held.what
    assert f"1 of 4 partitions ({partition})" in (held.where or "")
    assert f"pg_terminate_backend({pid})" in held.mend
    engine.dispose()


def test_a_runner_that_is_stopped_while_another_serves(
    postgres_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wake, "ALIVE_SECONDS", 0.0)
    monkeypatch.setattr(overdue, "SILENT", timedelta(seconds=1))
    stopping = threading.Event()
    serving = threading.Thread(target=listening, args=(postgres_database, lambda work: None, stopping))
    serving.start()
    stopped = wake.listen(postgres_database, lambda: False)
    assert len(list(islice(stopped, len(wake.Work)))) == 2

    def found() -> list[Finding]:
        measured = look(postgres_database, utc_now())
        return [one for one in diagnosed(measured) if one.code == "runners/silent"]

    try:
        assert found() == []
        until(found)
        (finding,) = found()
        assert finding.what == "1 runner of 2 that are connected gives no sign of life"
        assert "server process" in (finding.where or "")
        stopped.close()
        until(lambda: not found())
    finally:
        stopping.set()
        serving.join()


@pytest.mark.parametrize(
    ("ahead", "told"), [(0, []), (5, [(Level.WARNING, "before")]), (-60, [(Level.ERROR, "behind")])]
)
def test_clocks_that_differ(postgres_database: Database, ahead: int, told: list[tuple[Level, str]]) -> None:
    measured = look(postgres_database, lambda: utc_now() + timedelta(seconds=ahead))
    found = [one for one in diagnose(Examined(measured=measured)) if one.code == "clock/skew"]
    assert abs(measured.clock_ahead - timedelta(seconds=ahead)) < timedelta(seconds=1)
    assert [(one.level, one.what.split(" s ")[1].split()[0]) for one in found] == told


def test_runs_that_will_never_go_on(database: Database) -> None:
    changes: dict[str, tuple[dict[str, Any], str]] = {
        "ana": ({"due_at": None, "next_at": None}, "1 of them wait for no instant"),
        "ben": ({"node": 0}, "their step is not in their version"),
        "eva": ({"node": 3, "step": "noted"}, "nobody waits at their step"),
        "kim": ({"version": 99}, "their version is not stored"),
    }
    noted = GREET + "  - {id: noted, update: {set: {vip: true}}}\n"
    shop = Shop(database, FILES | {"journeys/greet/journey.yaml": noted})
    # Who stands at a send until policy lets it go is in good hands.
    shop.sign_up(*changes, "lea")
    rows = shop.ledger()
    deferred = {"node": 2, "step": "again"}
    with database.begin() as connection:
        for name, (change, _) in {**changes, "lea": (deferred, "")}.items():
            row = rows[f"{name}/hello"]
            its = (run_table.c.contact == row.contact) & (run_table.c.partition == row.partition)
            connection.execute(update(run_table).values(change).where(its))
    found = diagnosed(look(database, START + MINUTE))
    assert {(one.code, one.since) for one in found} == {("runs/stranded", START)}
    assert {one.what for one in found} == {f"1 run will never go on: {why}" for _, why in changes.values()}


def test_messages_and_runs_that_wait_for_somebody(database: Database) -> None:
    shop = Shop(database)
    shop.sign_up("ana", "ben", "eva")
    contacts = {name: shop.ledger()[f"{name}/hello"].contact for name in ("ana", "ben", "eva")}
    partitions = {name: shop.ledger()[f"{name}/hello"].partition for name in contacts}

    def of(name: str) -> Any:
        return (message.c.contact == contacts[name]) & (message.c.partition == partitions[name])

    def become(**values: Any) -> dict[str, Any]:
        return {"available_at": None, "lease_until": None, **values}

    with database.begin() as connection:
        unknown = become(status=MessageStatus.UNKNOWN)
        connection.execute(update(message).values(unknown).where(of("ana")))
        lapsed = become(status=MessageStatus.SENDING, lease_until=START + 2 * MINUTE)
        connection.execute(update(message).values(lapsed).where(of("ben")))
        gone = {"status": RunStatus.SET_ASIDE, "reason": "too_many", "ended_at": START + MINUTE}
        stood = dict.fromkeys(("step", "node", "due_at", "review_at", "next_at"))
        connection.execute(
            update(run_table)
            .values({**gone, **stood})
            .where(run_table.c.contact == contacts["eva"], run_table.c.partition == partitions["eva"])
        )
    found = {one.code: one for one in diagnosed(look(database, START + HOUR))}
    assert list(found) == ["messages/lapsed", "messages/waiting", "messages/unknown", "runs/set-aside"]
    assert found["runs/set-aside"].where == "eva in greet (too_many)"
    assert found["messages/lapsed"].since == START + 2 * MINUTE


def test_a_version_that_this_release_cannot_read(database: Database) -> None:
    Shop(database)
    with database.begin() as connection:
        nothing = json.dumps({"journeys/catalog.yaml": "nonsense"})
        connection.execute(text("UPDATE journey_version SET files = :files"), {"files": nothing})
    (finding,) = diagnosed(look(database, START))
    assert (finding.code, finding.mend) == ("journeys/unreadable", "`journeys apply`")


def test_zones_that_are_stored_otherwise(database: Database) -> None:
    with database.begin() as connection:
        ensure_zones(connection, ["Europe/Berlin", "Asia/Tbilisi"])
        berlin = zone_offset.c.zone == "Europe/Berlin"
        last = select(text("max(begins)")).select_from(zone_offset).where(berlin).scalar_subquery()
        connection.execute(delete(zone_offset).where(berlin, zone_offset.c.begins == last))
    Shop(database)
    (finding,) = diagnosed(look(database, START))
    assert (finding.code, finding.where) == ("zones/outdated", "Europe/Berlin")
    with database.begin() as connection:
        assert refresh_zones(connection) == ("Europe/Berlin",)
    with database.read() as connection:
        assert outdated_zones(connection) == ()
    assert diagnosed(look(database, START)) == ()


def test_journeys_that_are_paused_and_stopped(database: Database) -> None:
    """Who is in a journey twice is one of its people."""
    shop = Shop(database)
    shop.sign_up("ana", "ben")
    shop.sign_up("ana", at=START + MINUTE)
    pause_journey(database, "greet", now=START + HOUR, who="tests")
    (paused,) = diagnosed(look(database, START + 4 * HOUR))
    assert (paused.code, paused.level, paused.since) == ("journeys/paused", Level.NOTE, START + HOUR)
    assert paused.where == "greet"
    assert paused.what == "it is paused: 2 people are held in it, nobody enters, and nothing of it leaves"
    assert paused.mend == "`journeys resume greet`, when it is to go on"
    stop_journey(database, "greet", now=START + 2 * HOUR, who="tests", send_nothing=True)
    (stopped,) = diagnosed(look(database, START + 4 * HOUR))
    assert (stopped.code, stopped.level, stopped.since) == ("journeys/stopped", Level.NOTE, START + 2 * HOUR)
    resume_journey(database, "greet", now=START + 3 * HOUR, who="tests")
    assert diagnosed(look(database, START + 4 * HOUR)) == ()


def test_a_retired_journey_may_be_stopped(sqlite_database: Database) -> None:
    retired = GREET.replace("steps:", "retired: finish\nsteps:")
    Shop(sqlite_database, {**FILES, "journeys/greet/journey.yaml": retired})
    stop_journey(sqlite_database, "greet", now=START, who="tests")
    assert diagnosed(look(sqlite_database, START + HOUR)) == ()


def test_a_pool_without_a_value_left(database: Database) -> None:
    """Also before anything was imported; a value whose message was blocked is one that is left."""
    draws = GREET.replace("steps:\n", "steps:\n  - {id: code, draw: vouchers}\n")
    catalog = FILES["journeys/catalog.yaml"] + "pools: {vouchers: {file: v.csv}, unused: {file: u.csv}}\n"
    shop = Shop(database, {**FILES, "journeys/greet/journey.yaml": draws, "journeys/catalog.yaml": catalog})

    def found() -> list[Finding]:
        return [one for one in diagnosed(look(database, START + MINUTE)) if one.code == "pools/empty"]

    (never_filled,) = found()
    assert (never_filled.level, never_filled.where) == (Level.WARNING, "journeys greet")
    assert "`journeys pools import vouchers`" in never_filled.mend
    with database.begin() as connection:
        import_values(connection, "vouchers", ["A1"])
    assert found() == []
    shop.sign_up("ana")
    assert len(found()) == 1
    with database.begin() as connection:
        blocked = {"status": MessageStatus.BLOCKED.value, "available_at": None}
        connection.execute(update(message).values(blocked))
    assert found() == []
    with database.begin() as connection:
        assert connection.execute(select(pool_value.c.partition)).scalar() is not None, "nothing was changed"
        connection.execute(delete(pool_value))
    assert len(found()) == 1
    stop_journey(database, "greet", now=START + MINUTE, who="tests")
    assert found() == []


# What a person reads -------------------------------------------------------------------------------------------------


def everything() -> tuple[Finding, ...]:
    """All findings that can stand beside each other, and those that cannot, one after the other."""
    nothing = Some(count=0, oldest=None)
    quiet = PartitionSigns(partition=0, due=None, event_at=None, event_received_at=None)
    signs = VitalSigns(
        at=START,
        partitions=tuple(
            dataclasses.replace(quiet, partition=number, due=START - (number + 1) * HOUR)
            for number in range(12)
        ),
        ready=Some(count=MOST, oldest=START - HOUR),
        lapsed=Some(count=2, oldest=START - HOUR),
        unknown=Some(count=1, oldest=START - 3 * DAY),
        set_aside=Some(count=7, oldest=START - DAY),
    )
    idle = dataclasses.replace(
        signs, partitions=(quiet,), ready=nothing, lapsed=nothing, unknown=nothing, set_aside=nothing
    )
    holder = Holder(
        pid=4711,
        application="journeys 0003",
        client="10.0.0.7",
        state="idle in transaction",
        since=START - 20 * MINUTE,
    )
    ana = Waiting(contact="ana", what="cart/reminder", since=START - 12 * HOUR)
    ill = Measured(
        revision="0007",
        newest="0003",
        dialect="postgresql",
        server_version=12,
        clock_ahead=timedelta(seconds=-42),
        signs=signs,
        moved=frozenset({0}),
        held=frozenset({1, 2}),
        holders=(holder,),
        runners=(
            Runner(pid=4712, application="journeys 0018", client="10.0.0.8", silent=7 * MINUTE),
            Runner(pid=4713, application="journeys 0018", client=None, silent=timedelta(seconds=20)),
        ),
        waiting=(ana,),
        set_aside=(SetAside(contact="eva", journey="cart", reason="too_many", at=START - DAY),),
        standing_runs=(
            StandingRuns(journey="cart", version=9, step="day", node=1, runs=3, untimed=0, since=START - DAY),
        ),
        outdated_zones=("Africa/Casablanca", "America/Asuncion"),
        halted=(
            Halted(journey="cart", state=JourneyState.PAUSED, since=START - 5 * HOUR, people=1200),
            Halted(journey="recall", state=JourneyState.STOPPED, since=START - 3 * DAY, people=0),
        ),
        empty_pools={"vouchers": ("cart", "welcome")},
        links={"cart": ("later", "stop")},
        in_force={"cart": "a"},
    )
    channels = (
        CheckedChannel(
            name="email",
            transport="smtp",
            journeys=("cart", "welcome"),
            sender=False,
            unreachable="mail.shop.example:587: 535 authentication failed",
        ),
        CheckedChannel(
            name="sms", transport="webhook", journeys=("cart",), wrong_settings="webhook needs url and secret"
        ),
        CheckedChannel(
            name="mail",
            transport="smtp",
            journeys=("welcome",),
            sender_domain="news.shop.example",
            signing=("provider.example",),
            line=7,
            option="dkim",
            wrong_settings="dkim: the key file dkim.pem cannot be read: No such file or directory",
        ),
        CheckedChannel(
            name="push", transport="file", journeys=("cart",), unreachable="outbox: No space left on device"
        ),
    )
    name = "postgresql://shop:***@db.example/shop"
    disks = (
        Disk(what="the database", path=Path("/srv/shop"), free=3 * 1024**2),
        Disk(what="the outbox", path=Path("/var/outbox"), free=700 * 1024**2),
    )
    stalled = dataclasses.replace(
        ill, moved=frozenset(), held=frozenset(), holders=(), runners=(), anybody_else=False, standing_runs=()
    )
    well = Measured(signs=idle)
    return (
        *diagnose(
            Examined(
                settings=(
                    Problem(
                        code="settings/variable",
                        message="The environment variable SMTP_PASSWORD is not set.",
                        span=Span("journeys.yaml", 3, 9),
                    ),
                    Problem(
                        code="schema/unknown-key",
                        message="Unknown key `prot` in SMTP settings.",
                        span=Span("journeys.yaml", 4, 9),
                        hint="Did you mean `port`?",
                    ),
                ),
                without_settings=True,
                database=name,
                standing=Standing.AHEAD,
                measured=ill,
                channels=channels,
                disks=disks,
                on_disk={"cart": "b", "welcome": "c"},
            )
        ),
        *(one for one in diagnose(Examined(measured=stalled)) if one.code == "ticks/stalled"),
        *diagnose(Examined(unreachable="the database cannot be opened: connection refused")),
        *(
            finding
            for standing in (Standing.EMPTY, Standing.BEHIND, Standing.TOO_NEW)
            for finding in diagnose(Examined(database=name, standing=standing))
        ),
        *diagnose(Examined(database=name, measured=dataclasses.replace(well, journal_mode="delete"))),
        *diagnose(
            Examined(measured=dataclasses.replace(well, unreadable="version 3 of cart cannot be read"))
        ),
    )


def test_all_that_can_be_told() -> None:
    golden("doctor/everything.txt", findings_text(everything(), START) + "\n")
    assert "\x1b[" not in findings_text(everything(), START)
    assert findings_text(everything(), START, colour=True).startswith("\x1b[1m\x1b[31merror\x1b[0m: ")


def test_all_that_can_be_told_to_programs() -> None:
    told = json.dumps(findings_json(everything(), START), indent=2, ensure_ascii=False)
    golden("doctor/everything.json", told + "\n")


def test_nothing_to_tell() -> None:
    assert findings_text((), START) == "Nothing is wrong."
