"""How fast runs leave each kind of wait, beside the SQL that somebody would write by hand for that one journey.

All runs stand at a wait. What ends it has come and is still to be handled: an event, a change of the contact, an
instant. Both ways must leave the same runs, kept values and log behind.

The floor is what an expert would write who knows this journey, its catalog and how values are stored: a few
statements a batch, each row looked up by an index and written once, with fresh statistics of what the batch found. It
does what nobody can leave out: a contact's events are taken in their order, one at a time; what was due before an event
comes before it, and an event before what is due later; an event is marked as handled; each step that was left is
logged. It does nothing that only other journeys need: it does not ask which journey or version a run is in, whether
somebody has paused it, whether an attribute has its declared type, or how late an event is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import text

from benchmarks.by_shares import in_shares
from benchmarks.harness import KINDS, Figure, Scale, Sides, analyse, databases, spent
from runner.engine.apply import apply_project
from runner.engine.tick import LIVE, tick
from runner.engine.versions import load_versions
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.types import to_microseconds

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
BEFORE = START + timedelta(minutes=10)
"""When the events were that have been handled."""
HAPPENED = START + timedelta(minutes=30)
NOW = START + timedelta(minutes=31)
BATCH = 20_000
TARGET = 0.4
CATALOG = """
timezone: UTC
attributes:
  plan: {type: string}
  ends: {type: date}
events:
  Signed Up: {}
  Ordered: {n: number, k: string}
topics:
  offers: {title: Offers, opt_in: explicit}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
JOURNEY = """
journey: bench
language: 1
title: From a wait to the next
topic: offers
trigger: {event: Signed Up}
steps:
"""


class Words:
    """The few expressions in which the two dialects differ."""

    def __init__(self, database: Database) -> None:
        self.sqlite = database.dialect == "sqlite"

    def instant(self, instant: datetime) -> str:
        return str(to_microseconds(instant)) if self.sqlite else f"timestamptz '{instant.isoformat()}'"

    def later(self, instant: str, minutes: int) -> str:
        return (
            f"{instant} + {minutes * 60_000_000}"
            if self.sqlite
            else f"{instant} + interval '{minutes} minutes'"
        )

    def json(self, value: str) -> str:
        return f"'{value}'" if self.sqlite else f"'{value}'::jsonb"

    def member(self, column: str, name: str) -> str:
        return f"json_extract({column}, '$.{name}')" if self.sqlite else f"({column} ->> '{name}')"

    def number(self, column: str, name: str) -> str:
        return self.member(column, name) if self.sqlite else f"({column} ->> '{name}')::bigint"

    def kept(self, name: str, value: str) -> str:
        if self.sqlite:
            return f"json_set(r.data, '$.{name}', json({value}))"
        return f"r.data || jsonb_build_object('{name}', {value})"

    def merged(self, column: str, changes: str) -> str:
        return f"json_patch({column}, {changes})" if self.sqlite else f"{column} || {changes}"

    def midnight(self, day: str) -> str:
        if self.sqlite:
            return f"CAST(strftime('%s', {day}) AS INTEGER) * 1000000"
        return f"({day}::timestamp AT TIME ZONE 'UTC')"

    def listed(self) -> str:
        newest = (
            "SELECT properties, at, id FROM event h WHERE h.partition = r.partition AND h.contact = r.contact "
            "AND h.name = 'Ordered' AND h.at >= r.arrived_at AND h.at < r.next_at ORDER BY at DESC, id DESC LIMIT 50"
        )
        if self.sqlite:
            ordered = f"SELECT properties FROM ({newest}) ORDER BY at, id LIMIT 50"
            return f"(SELECT json_group_array(json(properties)) FROM ({ordered}))"
        return f"(SELECT jsonb_agg(properties ORDER BY at, id) FROM ({newest}) newest)"


@dataclass(frozen=True, kw_only=True)
class Wait:
    """One kind of wait, ``stand`` its step.

    ``event`` is what arrives for everybody, ``history`` how many events everybody has had, ``due`` whether the run's
    next instant has come. By hand: how the runs are found (``r`` the run, ``e`` the event), by which outcome they leave
    and what they keep. ``settles``: the run comes to the wait from another one. ``stays``: it does not leave the wait,
    but its timer moves.
    """

    name: str
    stand: str
    event: tuple[str, str] | None = None
    history: int = 0
    due: bool = False
    outcome: str = "event"
    found: Callable[[Words], str] = lambda _: "true"
    joined: Callable[[Words], str] = lambda _: ""
    kept: Callable[[Words], str] = lambda _: "r.data"
    settles: bool = False
    stays: bool = False
    changes_contact: bool = False


PLAN = ("Contact Identified", '{"plan": "pro"}')
ORDER = ("Ordered", '{"n": 20000000, "k": "x"}')
FIRST = (
    "h.partition = r.partition AND h.contact = r.contact AND h.id = (SELECT id FROM event f WHERE "
    "f.partition = r.partition AND f.contact = r.contact AND f.name = 'Ordered' AND f.at >= r.entered_at "
    "ORDER BY f.at, f.id LIMIT 1)"
)
WAITS = (
    Wait(
        name="event, kept",
        stand="{event: Ordered, where: event.n > 5, up_to: 7d, save_as: kept}",
        event=ORDER,
        found=lambda words: f"e.name = 'Ordered' AND {words.number('e.properties', 'n')} > 5000000",
        kept=lambda words: words.kept("kept", "e.properties"),
    ),
    Wait(
        name="since entry, kept",
        stand="{event: Ordered, since: entry, up_to: 7d, save_as: kept}",
        history=3,
        due=True,
        settles=True,
        joined=lambda words: f"{'CROSS ' if words.sqlite else ''}JOIN event h ON {FIRST}",
        kept=lambda words: words.kept("kept", "h.properties"),
    ),
    Wait(
        name="up to a date that moves",
        stand="{event: Ordered, up_to: {until: contact.ends}}",
        event=("Contact Identified", '{"ends": "2026-03-09"}'),
        stays=True,
        changes_contact=True,
    ),
    Wait(
        name="when, by a change",
        stand='{when: contact.plan == "pro", up_to: 7d}',
        event=PLAN,
        outcome="true",
        found=lambda words: f"{words.member('e.properties', 'plan')} = 'pro'",
        changes_contact=True,
    ),
    Wait(
        name="when, by time",
        stand='{when: days_since("Ordered") >= 2 or contact.plan == "pro", up_to: 7d}',
        history=1,
        due=True,
        outcome="true",
        joined=lambda words: (
            f"{'CROSS ' if words.sqlite else ''}JOIN contact c ON c.partition = r.partition "
            "AND c.id = r.contact"
        ),
        found=lambda words: (
            "((SELECT max(h.at) FROM event h WHERE h.partition = r.partition AND h.contact = r.contact "
            f"AND h.name = 'Ordered') <= {words.later('r.next_at', -2 * 1440)} OR "
            f"{words.member('c.attributes', 'plan')} = 'pro')"
        ),
    ),
    Wait(
        name="any",
        stand='{any: [{when: contact.plan == "pro"}, {event: Ordered, where: event.n > 5, name: big, save_as: kept}], '
        "up_to: 7d}",
        event=ORDER,
        outcome="big",
        joined=lambda words: (
            f"{'CROSS ' if words.sqlite else ''}JOIN contact c ON c.partition = r.partition "
            "AND c.id = r.contact"
        ),
        found=lambda words: (
            f"(CASE WHEN {words.member('c.attributes', 'plan')} = 'pro' THEN 1 "
            f"WHEN e.name = 'Ordered' AND {words.number('e.properties', 'n')} > 5000000 THEN 2 END) = 2"
        ),
        kept=lambda words: words.kept("kept", "e.properties"),
    ),
    Wait(
        name="collect",
        stand="{collect: Ordered, for: 30m, save_as: gathered}",
        history=3,
        due=True,
        outcome="elapsed",
        kept=lambda words: words.kept("gathered", words.listed()),
    ),
)


def measure(scale: Scale) -> Iterator[Figure]:
    for wait in WAITS:
        for kind in KINDS:
            with databases(kind) as make:
                for size, rounds in scale.of(((5_000, 1),), ((20_000, 3),), ((300_000, 1),)):
                    pairs = []
                    for number in range(rounds):
                        took, left = {}, {}
                        ways = [with_engine, by_hand]
                        for way in ways if number % 2 else reversed(ways):
                            database = make()
                            fill(database, wait, size)
                            took[way] = spent(partial(way, database, wait), database)
                            left[way] = summary(database)
                        assert left[with_engine] == left[by_hand], left
                        pairs.append((took[with_engine], took[by_hand]))
                    yield Sides.of(pairs).row(f"wait: {wait.name}", kind, size, TARGET)


def fill(database: Database, wait: Wait, size: int) -> None:
    """``size`` contacts, each with a run at the wait, and with what ends it to be handled."""
    settle = "  - {id: settle, wait: 30m}\n" if wait.settles else ""
    steps = f"{settle}  - {{id: stand, wait: {wait.stand}}}\n  - {{id: pause, wait: 2h}}\n"
    project = load_project({"journeys/catalog.yaml": CATALOG, "journeys/bench/journey.yaml": JOURNEY + steps})
    assert not project.problems, project.problems
    apply_project(database, project, now=START, author="bench", git_commit=None)
    version = load_versions(database).current["bench"].id
    words, partitions = Words(database), database.deployment.partitions
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {size}) "
        if words.sqlite
        else "WITH n(i) AS (SELECT generate_series(1, {size})) "
    )
    started, happened = words.instant(START), words.instant(HAPPENED)
    # A condition that time turns has been reviewed, and its run stands on the timeline, as the engine leaves it.
    by_review = wait.due and wait.outcome == "true"
    due = happened if wait.due and not by_review else words.instant(START + timedelta(days=7))
    following = happened if wait.due else due
    attributes = words.json('{"plan": "free", "ends": "2026-03-08"}')
    empty = words.json("{}")
    before = words.instant(HAPPENED - timedelta(days=2)) if by_review else words.instant(BEFORE)
    with database.begin() as connection:

        def run(statement: str) -> None:
            connection.exec_driver_sql(statement)

        run(
            "INSERT INTO contact (partition, id, key, attributes, tags, created_at) "
            f"{numbers.format(size=size)}SELECT i - (i / {partitions}) * {partitions}, i, 'c' || i, {attributes}, "
            f"{words.json('[]')}, {started} FROM n"
        )
        run(
            "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, step, node, "
            "arrived_at, due_at, review_at, next_at, entered_at, trigger, data, cause) SELECT partition, id, 1, "
            f"'bench', {version}, '', 'event:1', 'active', '{'settle' if wait.settles else 'stand'}', 0, {started}, "
            f"{due}, {happened if by_review else 'NULL'}, {following}, {started}, {empty}, {empty}, 0 FROM contact"
        )
        events = [
            ("Ordered", f'{{"n": {number + 1}000000}}', before, "false") for number in range(wait.history)
        ]
        if wait.event:
            events.append((*wait.event, happened, "true"))
        for number, (name, properties, at, pending) in enumerate(events):
            run(
                "INSERT INTO event (partition, contact, id, name, at, received_at, properties, dedup_key, pending) "
                f"SELECT partition, contact, contact * 10 + {number}, '{name}', {at}, {at}, "
                f"{words.json(properties)}, 'e{number}', {pending} FROM run"
            )
    analyse(database)


def with_engine(database: Database, _: Wait) -> int:
    versions = load_versions(database)
    done = 0
    while (ticked := tick(database, versions, NOW, LIVE)).more:
        done += ticked.contacts
    return done


def by_hand(database: Database, wait: Wait) -> int:
    """What this one journey needs and nothing else: a few statements a batch, ``{among}`` its partitions."""
    words = Words(database)
    cross = "CROSS JOIN" if words.sqlite else "JOIN"
    create = (
        "CREATE TEMPORARY TABLE IF NOT EXISTS found (partition INTEGER, contact INTEGER, event INTEGER, at {0}, "
        "data {1})"
    )
    create = (
        create.format("INTEGER", "TEXT")
        if words.sqlite
        else create.format("timestamptz", "jsonb") + " ON COMMIT DELETE ROWS"
    )
    now = words.instant(NOW)
    if wait.event:
        first = (
            f"(SELECT * FROM event f WHERE pending AND {{among}} AND at <= {now} AND NOT EXISTS (SELECT 1 FROM event o "
            "WHERE o.partition = f.partition AND o.contact = f.contact AND o.pending "
            f"AND (o.at, o.id) < (f.at, f.id)) LIMIT {BATCH}) e {cross} run r "
            "ON r.partition = e.partition AND r.contact = e.contact AND r.status = 'active' "
            "AND (r.next_at IS NULL OR r.next_at > e.at)"
        )
        columns = "e.id, e.at"
    else:
        first = (
            "(SELECT * FROM run f WHERE status = 'active' AND next_at IS NOT NULL "
            f"AND {{among}} AND next_at <= {now} AND NOT EXISTS (SELECT 1 FROM event o WHERE o.partition = f.partition "
            f"AND o.contact = f.contact AND o.pending AND o.at < f.next_at) LIMIT {BATCH}) r"
        )
        columns = "NULL, r.next_at"
    find = (
        f"INSERT INTO found SELECT r.partition, r.contact, {columns}, {wait.kept(words)} FROM {first} "
        f"{wait.joined(words)} WHERE {wait.found(words)}"
    )
    statements = []
    of_event = "WHERE event.partition = f.partition AND event.contact = f.contact AND event.id = f.event"
    if wait.changes_contact:
        changed = words.merged("contact.attributes", "event.properties")
        statements.append(
            f"UPDATE contact SET attributes = {changed} FROM found f {cross} event ON true {of_event} "
            "AND contact.partition = f.partition AND contact.id = f.contact"
        )
    if wait.event:
        statements.append(f"UPDATE event SET pending = false FROM found f {of_event}")
    of_run = "WHERE run.partition = f.partition AND run.contact = f.contact AND run.id = 1"
    if wait.stays:
        day = words.midnight(words.member("contact.attributes", "ends"))
        statements.append(
            f"UPDATE run SET due_at = {day}, next_at = {day} FROM found f {cross} contact ON "
            f"contact.partition = f.partition AND contact.id = f.contact {of_run}"
        )
    else:
        left = [("stand", wait.outcome)]
        left = [("settle", "elapsed"), *left] if wait.settles else left
        for node, (step, outcome) in enumerate(left):
            statements.append(
                "INSERT INTO step_log (partition, contact, run, node, visit, step, outcome, at) "
                f"SELECT partition, contact, 1, {node}, 1, '{step}', '{outcome}', at FROM found"
            )
        until = words.later("f.at", 120)
        statements.append(
            f"UPDATE run SET step = 'pause', node = {len(left)}, arrived_at = f.at, due_at = {until}, "
            f"next_at = {until}, review_at = NULL, data = f.data FROM found f {of_run}"
        )
    return in_shares(database, "found", create, find, statements, BATCH)


def summary(database: Database) -> tuple[Any, ...]:
    """What is left behind, in numbers that both ways must agree on."""
    data = "data" if database.dialect == "sqlite" else "CAST(data AS text)"
    queries = (
        f"SELECT step, node, status, count(*), min(due_at), max(due_at), min(next_at), count(DISTINCT {data}) "
        "FROM run GROUP BY 1, 2, 3",
        "SELECT node, step, outcome, count(*), min(at), max(at) FROM step_log GROUP BY 1, 2, 3",
        "SELECT name, pending, count(*) FROM event GROUP BY 1, 2",
    )
    with database.read() as connection:
        return tuple(sorted(map(tuple, connection.execute(text(query)).all())) for query in queries)
