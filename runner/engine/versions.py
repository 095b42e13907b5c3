"""The journey versions that the engine runs: what was applied, compiled once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from runner.engine.timetable import Timetable, timetable_of
from runner.engine.watch import watched_by
from runner.journey.broadcasts import ear_of
from runner.journey.catalog import MOVES_WAITS, Catalog, Topic
from runner.journey.derived_values import derived_read
from runner.journey.expression import Expression
from runner.journey.expression.tree import History, People
from runner.journey.graph import Node, Program, compile_program
from runner.journey.model import Journey, Link, Update
from runner.journey.newest_texts import Written, newest_texts
from runner.journey.project import Project, load_project
from runner.journey.renames import Renames
from runner.journey.run_values import reads_blocked, written_behind
from runner.journey.send_rules import send_rules
from runner.journey.template import Template
from runner.journey.version import expressions_of
from runner.journey.wakes import Hears, Turns, wakes_of
from runner.problem import JourneysError
from runner.store.causes.double_opt_in import asks_twice
from runner.store.causes.hearers import Copies, Listener
from runner.store.causes.watched import Watched
from runner.store.database import Database
from runner.store.journeys.in_force import InForce, in_force
from runner.store.journeys.versions import StoredVersion, versions_in_use
from runner.store.passes.program import ProgramSql
from runner.store.passes.ways import Ways
from runner.store.steps.waits.due import moves_with_contact
from runner.store.tables import JourneyState


@dataclass(frozen=True, kw_only=True)
class Version:
    """An applied version. ``current`` versions are entered; others are only finished by the runs that are in them."""

    id: int
    program: Program
    catalog: Catalog
    templates: tuple[Template, ...]
    """What its messages are rendered from: of one that is only finished, the newest texts that it can fill."""
    own_templates: tuple[Template, ...]
    files: Mapping[str, str]
    renames: Renames | None
    since: datetime
    entered_from: datetime
    """What was received before does not enter it any more: it is from before its first apply, or of a pause."""
    state: JourneyState
    current: bool
    sql: ProgramSql

    @property
    def journey(self) -> Journey:
        return self.program.journey

    @property
    def retired(self) -> bool:
        """Whether the journey has ended: nobody enters any more."""
        return self.journey.in_flight.retired is not None

    @cached_property
    def derived(self) -> Mapping[str, Expression]:
        """What its messages read of contacts that is computed, by name."""
        return derived_read(self.catalog, self.templates)

    @cached_property
    def heard(self) -> Mapping[str, frozenset[int]]:
        """By event, the nodes whose runs it may wake."""
        found: dict[str, frozenset[int]] = {}
        for node in self.program.nodes:
            for wake in wakes_of(node.verb):
                if isinstance(wake, Hears):
                    found[wake.event] = found.get(wake.event, frozenset()) | {node.index}
        return found

    @cached_property
    def standing_sends(self) -> tuple[Node, ...]:
        """The sends at which runs may stand until policy has decided."""
        return tuple(node for node in self.program.nodes if node.index in self.sql.ways.together)

    @cached_property
    def conditional(self) -> frozenset[int]:
        """The nodes whose runs wait for something to be true: every event may make it so."""
        return frozenset(
            node.index
            for node in self.program.nodes
            if any(isinstance(wake, Turns) for wake in wakes_of(node.verb))
        )

    @cached_property
    def heeds_all(self) -> bool:
        """Whether any event may end, wake or let go those who are in it."""
        held = bool(self.standing_sends) and bool(self.sql.rules.policies.holds)
        return self.sql.may_exit or bool(self.conditional) or held

    @cached_property
    def heeded(self) -> frozenset[str]:
        """The events that may do something to those who are in it, beside those that any may."""
        changes = MOVES_WAITS if self.contact_waits or self.standing_sends else ()
        return frozenset(changes).union(self.heard, (rule.event for rule in self.journey.exits if rule.event))

    @cached_property
    def contact_waits(self) -> tuple[Node, ...]:
        """The waits that may move when the contact changes."""
        return tuple(node for node in self.program.nodes if moves_with_contact(node))


class Versions:
    """The versions in use: those that contacts enter, and those that somebody is still in."""

    def __init__(self, versions: tuple[Version, ...], in_force: InForce) -> None:
        self.in_force = in_force
        """What was in force when they were read."""
        # The order in which versions act within a pass.
        self._ordered = tuple(sorted(versions, key=lambda version: (version.journey.name, version.id)))
        self.former_links: dict[int, tuple[Link, ...]] = {}
        """By version that nobody is in any more, the links of its messages, once one of them was pressed."""
        self.by_id: Mapping[int, Version] = {version.id: version for version in self._ordered}
        self.current: Mapping[str, Version] = {
            version.journey.name: version for version in self._ordered if version.current
        }
        current = [version for version in self.current.values() if not version.retired]
        live = [version for version in current if version.state is JourneyState.LIVE]
        # Asked once, so that an event costs what the journeys that hear it cost, and not what all cost.
        self.started_by = _by_event(
            (trigger.event, version) for version in live for trigger in version.journey.triggers
        )
        """The versions that an event may let its contact enter, by the event's name."""
        self.heeds_all = any(version.heeds_all for version in self._ordered)
        """Whether any event may do something to those who are in a journey."""
        self.heeded = frozenset[str]().union(*(version.heeded for version in self._ordered))
        """The events that may, beside those."""
        # Of those that are paused, too: what changes meanwhile starts nobody, and is no news once they are resumed.
        self.watched: Watched = watched_by((version.journey, version.catalog.timezone) for version in current)
        dialect = self._ordered[0].sql.dialect if self._ordered else "sqlite"
        self.copies = Copies(dialect, listeners_of(self._ordered))
        """How broadcasts reach those who hear them."""
        self.all_begun = False
        """Whether it is known that all partitions have been looked at once for what is watched."""
        self.measured_by = _by_event(
            (version.journey.goal.event, version) for version in self.current.values() if version.journey.goal
        )
        """The versions whose goal it may be."""
        self.timetable: Timetable = timetable_of(current)
        """The triggers that time itself pulls."""
        self.asking_twice: Sequence[tuple[Topic, Version]] = tuple(
            {
                topic.name: (topic, version)
                for version in self.current.values()
                for topic in version.catalog.topics.values()
                if asks_twice(topic)
            }.values()
        )
        """The topics to which consent is confirmed, each with a version whose catalog has it."""
        self.write_accounts = any(
            isinstance(node.verb, Update) and any(name == "account" for name, _ in node.verb.attributes)
            for version in self._ordered
            for node in version.program.nodes
        )
        """Whether a step may say to which account a contact belongs."""
        self.ways: Mapping[int, Ways] = {version.id: version.sql.ways for version in self._ordered}
        self.zones = frozenset(
            zone
            for version in self._ordered
            for zone in (
                version.catalog.timezone,
                *(each.timezone for each in version.catalog.hours.values()),
            )
        )

    def __iter__(self) -> Iterator[Version]:
        return iter(self._ordered)

    @cached_property
    def look_at_colleagues(self) -> bool:
        """Whether what a contact does may hang on those who share its account."""
        return any(_looks_at_colleagues(version) for version in self._ordered)


def _looks_at_colleagues(version: Version) -> bool:
    catalog = version.catalog
    conditions = [hold.when for hold in catalog.policies.holds]
    conditions += [case.when for topic in catalog.topics.values() for case in topic.cases if case.when]
    return version.journey.entry.by_account or any(
        isinstance(node, People) or (isinstance(node, History) and node.by_account)
        for expression in (*expressions_of(version.journey), *conditions)
        for node in expression.nodes
    )


def listeners_of(versions: Iterable[Version]) -> Mapping[str, frozenset[Listener]]:
    """Who hears broadcasts, by the event's name: triggers of what contacts may enter, exits and waits of all."""
    found: dict[str, set[Listener]] = {}
    for version in versions:
        catalog, journey = version.catalog, version.journey
        heard: list[tuple[str | None, Expression | None, tuple[str, ...]]] = []
        if version.current and version.state is JourneyState.LIVE and not version.retired:
            heard += [(trigger.event, trigger.where, ("contact",)) for trigger in journey.triggers]
        both = ("trigger", "contact")
        heard += [(rule.event, rule.where, both) for rule in journey.exits]
        heard += [
            (wake.event, wake.where, both)
            for node in version.program.nodes
            for wake in wakes_of(node.verb)
            if isinstance(wake, Hears)
        ]
        for name, where, sources in heard:
            declared = catalog.events.get(name) if name else None
            if name and declared and declared.broadcast and (ear := ear_of(where, *sources)):
                found.setdefault(name, set()).add(Listener(ear, catalog.timezone, journey.name))
    return {name: frozenset(listeners) for name, listeners in found.items()}


def _by_event(pairs: Iterable[tuple[str, Version]]) -> Mapping[str, tuple[Version, ...]]:
    """The versions of each name, each once, in their order."""
    found: dict[str, dict[int, Version]] = {}
    for name, version in pairs:
        found.setdefault(name, {})[version.id] = version
    return {name: tuple(versions.values()) for name, versions in found.items()}


def load_versions(database: Database, previous: Versions | None = None) -> Versions:
    """The versions in use in ``database``. Those that ``previous`` holds are not compiled anew.

    Raises JourneysError where a stored version cannot be read by this release of the software.
    """
    with database.read() as connection:
        rows, known = versions_in_use(connection), in_force(connection)
    compiled = [_compiled(row, previous) for row in rows]
    present = {row.journey: one for row, one in zip(rows, compiled, strict=True) if row.current}
    loaded = []
    for row, one in zip(rows, compiled, strict=True):
        journey = one.program.journey
        rules = send_rules(
            journey,
            one.catalog,
            present.get(row.journey, one).catalog,
            templates=frozenset(template.name for template in one.templates),
            reads_blocked=reads_blocked(journey, one.templates),
            keeping=one.keeping,
        )
        sql = one.sql
        if sql is None or sql.rules != rules:
            sql = ProgramSql(row.id, one.program, one.catalog.timezone, database.dialect, rules)
        loaded.append(
            Version(
                id=row.id,
                program=one.program,
                catalog=one.catalog,
                templates=_texts(one, present.get(row.journey, one)),
                own_templates=one.templates,
                files=row.files,
                renames=row.renames,
                since=row.since,
                entered_from=max(row.since, row.resumed_at or row.since),
                state=JourneyState(row.state),
                current=row.current,
                sql=sql,
            )
        )
    return Versions(tuple(loaded), known)


@dataclass(frozen=True, kw_only=True)
class _Compiled:
    """What the files of a version come to; ``sql`` is None where its statements are to be made. ``keeping`` is that of
    its rules."""

    program: Program
    catalog: Catalog
    templates: tuple[Template, ...]
    keeping: frozenset[str]
    sql: ProgramSql | None

    @property
    def written(self) -> Written:
        return Written(journey=self.program.journey, catalog=self.catalog, templates=self.templates)


def _texts(one: _Compiled, newest: _Compiled) -> tuple[Template, ...]:
    return one.templates if one is newest else newest_texts(one.written, newest.written)


def _compiled(row: StoredVersion, previous: Versions | None) -> _Compiled:
    known = previous.by_id.get(row.id) if previous else None
    if known is not None and known.renames == row.renames:
        return _Compiled(
            program=known.program,
            catalog=known.catalog,
            templates=known.own_templates,
            keeping=known.sql.rules.keeping,
            sql=known.sql,
        )
    project = stored_project(row.journey, row.id, row.files, row.renames)
    journey, templates = project.journeys[row.journey], tuple(project.templates.get(row.journey, ()))
    return _Compiled(
        program=compile_program(journey),
        catalog=project.catalog,
        templates=templates,
        keeping=written_behind(journey, templates),
        sql=None,
    )


def stored_project(
    journey: str, number: int, files: Mapping[str, str], renames: Renames | None = None
) -> Project:
    """The project of the stored version ``number``; ``renames`` are those of its journey, if they are kept. Raises
    JourneysError where this release cannot read it."""
    project = load_project(files, {journey: renames})
    if journey not in project.journeys:
        raise JourneysError(
            f"version {number} of journey `{journey}` was applied by a release that reads journeys "
            "differently; run `journeys apply` again"
        )
    return project
