"""The triggers that are measured, and for each the SQL of somebody who has this one journey and nothing else: who it
is, what history is told of it, and the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text

from benchmarks.waits import BATCH, Words
from runner.store.database import Database
from runner.store.passes.working import steady_plans


@dataclass(frozen=True, kw_only=True)
class Hand:
    """How the SQL of one database is put together. ``due`` is the instant of all that happens."""

    words: Words
    due: str
    later: str
    two_days_ago: str
    year: int

    def told(self, name: str, properties: str | None = None) -> str:
        """Writes an event that has been handled for everybody in ``found``, with its properties unless all have the
        same."""
        identity = (
            "(SELECT coalesce(max(id), 0) + 1 FROM event e WHERE e.partition = f.partition AND e.contact = f.contact)"
            if self.words.sqlite
            else "nextval('event_id_seq')"
        )
        return (
            "INSERT INTO event (partition, contact, id, name, at, received_at, properties, dedup_key, pending) "
            f"SELECT partition, contact, {identity}, '{name}', {self.due}, {self.due}, "
            f"{self.words.json(properties) if properties else 'f.properties'}, '{name}', false FROM found f"
        )

    def entered(self, trigger: str | None = None) -> str:
        """Begins a run for everybody in ``found`` who has none on. A run can read what started it (``trigger.…``),
        ``trigger`` where that is the same for all; and one cause starts it once, an event that arrived by its id."""
        cause = "'cause:' || coalesce(f.event, 0)"
        return (
            "INSERT INTO run (partition, contact, id, journey, version, per, entry_key, status, step, node, "
            "arrived_at, due_at, next_at, entered_at, trigger, data) SELECT partition, contact, "
            "(SELECT coalesce(max(id), 0) + 1 FROM run r WHERE r.partition = f.partition AND r.contact = f.contact), "
            f"'bench', 1, '', {cause}, 'active', 'pause', 0, {self.due}, {self.later}, {self.later}, {self.due}, "
            f"{self.words.json(trigger) if trigger else 'f.properties'}, "
            f"{self.words.json('{}')} FROM found f WHERE NOT EXISTS (SELECT 1 FROM run o WHERE "
            "o.partition = f.partition AND o.contact = f.contact AND o.journey = 'bench' AND o.status = 'active')"
        )

    def handled(self) -> str:
        return (
            "UPDATE event SET pending = false FROM found f WHERE event.partition = f.partition "
            "AND event.contact = f.contact AND event.id = f.event"
        )

    def appointed(self, due: str) -> str:
        return (
            f"UPDATE appointment SET due_at = {due} FROM found f "
            "WHERE appointment.partition = f.partition AND appointment.contact = f.contact"
        )

    def anniversaries(self) -> str:
        """Those whose date has come, with the day that their run can read."""
        made, cross = ("json_object", "CROSS JOIN") if self.words.sqlite else ("jsonb_build_object", "JOIN")
        return (
            f"SELECT a.partition, a.contact, CAST(NULL AS bigint), {made}('journey', 'bench', 'date', "
            f"'{self.year}' || substr({self.words.member('c.attributes', 'ends')}, 5)) "
            f"FROM (SELECT partition, contact FROM appointment WHERE due_at <= {self.due} LIMIT {BATCH}) a "
            f"{cross} contact c ON c.partition = a.partition AND c.id = a.contact"
        )

    def appointed_in_a_year(self) -> str:
        """Each has a date and a zone of their own, and 29 February is the 28th in other years: the next instant is
        nobody else's."""
        ends = self.words.member("c.attributes", "ends")
        if self.words.sqlite:
            day = f"CASE substr({ends}, 5) WHEN '-02-29' THEN '-02-28' ELSE substr({ends}, 5) END"
            local = f"(unixepoch('{self.year + 1}' || {day} || ' 09:00') * 1000000)"
            # SQLite knows no zones: a table of their offsets is looked up.
            due = (
                f"(SELECT coalesce({local} - z.offset, z.instant) FROM zone_local z WHERE z.zone = "
                f"coalesce(c.timezone, 'UTC') AND z.begins <= {local} ORDER BY z.begins DESC LIMIT 1)"
            )
        else:
            years = f"make_interval(years => {self.year + 1} - extract(year FROM ({ends})::date)::int)"
            local = f"(({ends})::date + {years} + time '09:00')"
            due = f"({local} AT TIME ZONE coalesce(c.timezone, 'UTC'))"
        cross = "CROSS JOIN" if self.words.sqlite else "JOIN"
        return (
            f"UPDATE appointment SET due_at = {due} FROM found f {cross} contact c "
            "ON c.partition = f.partition AND c.id = f.contact "
            "WHERE appointment.partition = f.partition AND appointment.contact = f.contact"
        )

    def quiet(self) -> str:
        """Those who are to be looked at again, and have ordered nothing for two days: whoever has since is no member,
        so that it is asked each time."""
        last = (
            "(SELECT max(o.at) FROM event o WHERE o.partition = a.partition AND o.contact = a.contact "
            f"AND o.name = 'Ordered' AND o.at <= {self.due})"
        )
        return (
            "SELECT a.partition, a.contact, CAST(NULL AS bigint), NULL FROM (SELECT partition, contact "
            f"FROM appointment WHERE due_at <= {self.due} LIMIT {BATCH}) a WHERE {last} <= {self.two_days_ago}"
        )

    def member(self, segment: str) -> str:
        return (
            "INSERT INTO membership (partition, contact, segment, since, inside) "
            f"SELECT partition, contact, '{segment}', {self.due}, true FROM found f WHERE true "
            "ON CONFLICT (partition, contact, segment) DO UPDATE SET inside = true, since = excluded.since"
        )

    def identified(self) -> str:
        changed = self.words.merged("contact.attributes", "event.properties")
        cross = "CROSS JOIN" if self.words.sqlite else "JOIN"
        return (
            f"UPDATE contact SET attributes = {changed} FROM found f {cross} event ON true "
            "WHERE event.partition = f.partition AND event.contact = f.contact AND event.id = f.event "
            "AND contact.partition = f.partition AND contact.id = f.contact"
        )

    def arrived(self, condition: str = "true") -> str:
        """Those who have an event to be handled."""
        return (
            f"SELECT partition, contact, id, properties FROM (SELECT * FROM event WHERE pending AND at <= {self.due} "
            f"LIMIT {BATCH}) e WHERE {condition}"
        )

    def changed(self) -> str:
        """Those who have an event that changes their points."""
        points = (self.words.member("e.properties", "points"), self.words.member("c.attributes", "points"))
        cross = "CROSS JOIN" if self.words.sqlite else "JOIN"
        made = "json_object" if self.words.sqlite else "jsonb_build_object"
        # Each run can read from what the attribute has changed to what.
        told = f"{made}('attribute', 'points', 'old', {points[1]}, 'new', {points[0]})"
        return (
            f"SELECT e.partition, e.contact, e.id, {told} FROM (SELECT * FROM event WHERE pending AND at <= {self.due} "
            f"LIMIT {BATCH}) e {cross} contact c ON c.partition = e.partition AND c.id = e.contact "
            f"WHERE e.name = 'Contact Identified' AND {points[0]} <> {points[1]}"
        )


CONSENT = (
    "INSERT INTO consent (partition, contact, topic, channel, state, since) "
    "SELECT partition, contact, 'offers', '*', 'given', {due} FROM found f WHERE true "
    "ON CONFLICT (partition, contact, topic, channel) DO UPDATE SET state = 'given', since = excluded.since",
    "INSERT INTO consent_log (partition, contact, id, topic, channel, state, at) "
    "SELECT partition, contact, (SELECT coalesce(max(id), 0) + 1 FROM consent_log o WHERE o.partition = f.partition "
    "AND o.contact = f.contact), 'offers', '*', 'given', {due} FROM found f",
)
ENDED = (
    "INSERT INTO step_log (partition, contact, run, node, visit, step, outcome, at) "
    "SELECT partition, contact, 1, 0, 1, 'settle', 'elapsed', {due} FROM found",
    "UPDATE run SET status = 'completed', ended_at = {due}, step = NULL, node = NULL, due_at = NULL, next_at = NULL "
    "FROM found f WHERE run.partition = f.partition AND run.contact = f.contact AND run.id = 1",
)
SAID = '{"journey": "bench"}'


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """One kind of trigger. ``arrives`` is the event that comes for each, ``everywhere`` the one that comes for all;
    ``of_runs``: it hangs on runs of another journey. By hand: ``found`` finds the next batch, of the contacts named by
    ``{}`` where it goes through all of them; ``then`` is what is written for those."""

    name: str
    form: str
    arrives: tuple[str, str] | None = None
    everywhere: tuple[str, str] | None = None
    of_runs: bool = False
    goes_through: bool = False
    found: Callable[[Hand], str]
    then: Callable[[Hand], Sequence[str]]


POINTS = ("Contact Identified", '{"points": 200000000}')
TRIGGERS = (
    Trigger(
        name="event",
        form="{event: Signed Up, where: event.n > 5}",
        arrives=("Signed Up", '{"n": 20000000}'),
        found=lambda hand: hand.arrived(f"{hand.words.number('e.properties', 'n')} > 5000000"),
        then=lambda hand: [hand.handled(), hand.entered()],
    ),
    Trigger(
        name="attribute",
        form="{attribute: points}",
        arrives=POINTS,
        found=Hand.changed,
        then=lambda hand: [
            hand.handled(),
            hand.identified(),
            hand.told("Attribute Changed"),
            hand.entered(),
        ],
    ),
    Trigger(
        name="segment, by an attribute",
        form="{segment: rich, change: enter}",
        arrives=POINTS,
        found=Hand.changed,
        then=lambda hand: [
            hand.handled(),
            hand.identified(),
            hand.member("rich"),
            hand.told("Segment Entered", '{"segment": "rich"}'),
            hand.entered('{"segment": "rich"}'),
        ],
    ),
    Trigger(
        name="segment, by time",
        form="{segment: quiet, change: enter}",
        found=Hand.quiet,
        then=lambda hand: [
            hand.told("Segment Due", '{"segment": "quiet"}'),
            # Whoever has ordered nothing for so long stays in until an order comes: time brings nothing more.
            hand.appointed("NULL"),
            hand.member("quiet"),
            hand.told("Segment Entered", '{"segment": "quiet"}'),
            hand.entered('{"segment": "quiet"}'),
        ],
    ),
    Trigger(
        name="consent",
        form="{consent: offers, change: given}",
        arrives=("Consent Granted", '{"topic": "offers"}'),
        found=Hand.arrived,
        then=lambda hand: [
            hand.handled(),
            *(statement.format(due=hand.due) for statement in CONSENT),
            hand.told("Consent Changed", '{"topic": "offers", "channel": "*", "change": "given"}'),
            hand.entered('{"topic": "offers", "channel": "*", "change": "given"}'),
        ],
    ),
    Trigger(
        name="journey",
        form="{journey: first, outcome: completed}",
        of_runs=True,
        found=lambda hand: (
            "SELECT partition, contact, CAST(NULL AS bigint), NULL FROM run WHERE status = 'active' "
            f"AND next_at IS NOT NULL AND next_at <= {hand.due} LIMIT {BATCH}"
        ),
        then=lambda hand: [
            *(statement.format(due=hand.due) for statement in ENDED),
            hand.told("Journey Ended", '{"journey": "first", "outcome": "completed", "run": 1000000}'),
            hand.entered('{"journey": "first", "outcome": "completed", "run": 1000000}'),
        ],
    ),
    Trigger(
        name="manual",
        form="{manual: true}",
        arrives=("Enrolled", SAID),
        found=Hand.arrived,
        then=lambda hand: [hand.handled(), hand.entered()],
    ),
    Trigger(
        name="broadcast",
        form="{event: Stock, where: event.plan == contact.plan}",
        everywhere=("Stock", '{"plan": "pro"}'),
        goes_through=True,
        found=lambda hand: (
            "SELECT partition, id, CAST(NULL AS bigint), NULL FROM contact c "
            f"WHERE {hand.words.member('c.attributes', 'plan')} = 'pro' AND {{}}"
        ),
        then=lambda hand: [hand.told("Stock", '{"plan": "pro"}'), hand.entered('{"plan": "pro"}')],
    ),
    Trigger(
        name="schedule",
        form='{schedule: "0 9 * * MON", audience: contact.plan == "pro"}',
        goes_through=True,
        found=lambda hand: (
            "SELECT partition, id, CAST(NULL AS bigint), NULL FROM contact c "
            f"WHERE {hand.words.member('c.attributes', 'plan')} = 'pro' AND {{}}"
        ),
        then=lambda hand: [hand.told("Schedule Fired", SAID), hand.entered(SAID)],
    ),
    Trigger(
        name="date",
        form='{date: contact.ends, every: year, at: "09:00"}',
        found=Hand.anniversaries,
        then=lambda hand: [
            hand.told("Date Reached"),
            hand.entered(),
            hand.appointed_in_a_year(),
        ],
    ),
)


def by_hand(database: Database, trigger: Trigger, due: datetime) -> int:
    """A few statements a batch, each batch a transaction. Answers how many runs are on at the first wait."""
    words = Words(database)
    hand = Hand(
        words=words,
        due=words.instant(due),
        later=words.instant(due + timedelta(hours=2)),
        two_days_ago=words.instant(due - timedelta(days=2)),
        year=due.year,
    )
    found, then = trigger.found(hand), trigger.then(hand)
    first = True
    for portion in _portions(database) if trigger.goes_through else iter(lambda: "", None):
        if not _batch(database, found.format(portion) if portion else found, then) and not portion:
            break
        if first and not words.sqlite:
            # Taken while there was no run, its statistics lead to an index that finds all that are active.
            with database.begin() as connection:
                connection.exec_driver_sql("ANALYZE run")
        first = False
    with database.read() as connection:
        return int(connection.execute(text("SELECT count(*) FROM run WHERE step = 'pause'")).scalar_one())


def _batch(database: Database, found: str, then: Sequence[str]) -> int:
    with database.begin() as connection:
        sqlite = database.dialect == "sqlite"
        create = (
            "CREATE TEMPORARY TABLE IF NOT EXISTS found (partition INTEGER, contact BIGINT, event BIGINT, "
            f"properties {'TEXT' if sqlite else 'JSONB'})"
        )
        connection.exec_driver_sql(create + ("" if sqlite else " ON COMMIT DELETE ROWS"))
        # Row by row through indexes, as the engine has it: the planner knows nothing of tables that were just filled.
        steady_plans(connection)
        if sqlite:
            connection.exec_driver_sql("DELETE FROM found")
        rows = connection.exec_driver_sql(f"INSERT INTO found {found}").rowcount
        if rows:
            # What is found leads; left without a word of its size, SQLite may go through everybody for each of it.
            connection.exec_driver_sql("ANALYZE found")
            for statement in then:
                connection.exec_driver_sql(statement)
        return rows


def _portions(database: Database) -> Iterator[str]:
    """Conditions that name all contacts, about a batch at a time, each by a range of the primary key."""
    with database.read() as connection:
        most = int(connection.execute(text("SELECT max(id) FROM contact")).scalar_one())
    partitions = database.deployment.partitions
    if partitions == 1:
        for low in range(0, most, BATCH):
            yield f"c.partition = 0 AND c.id > {low} AND c.id <= {low + BATCH}"
        return
    several = max(1, partitions * BATCH // most)
    for first in range(0, partitions, several):
        yield f"c.partition BETWEEN {first} AND {first + several - 1}"
