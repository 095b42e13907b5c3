"""Applying a new version under people who are in older ones: who follows into it, and who leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count, groupby

from runner.engine.versions import stored_project
from runner.engine.watch import watched_by
from runner.journey.expression import Expression
from runner.journey.graph import Node, Program, compile_program
from runner.journey.model import Journey, Retired, Send, Timers
from runner.journey.project import Project
from runner.journey.send_rules import RATE, send_rules
from runner.journey.succession import Carried, Fate, Leaves, Moved, Trouble, Unaccounted, succession
from runner.journey.wakes import Turns, wakes_of
from runner.problem import Problem
from runner.store.causes.ends import tell_of_exits
from runner.store.database import Database
from runner.store.journeys.carried import (
    Place,
    carry_over,
    count_anew,
    end_journey,
    end_where,
    hold_everybody,
    release,
)
from runner.store.journeys.kept_waiting import ask_at_once, give_back_places, kept_waiting
from runner.store.journeys.places import has_places, take_over_places
from runner.store.journeys.released import Queue, free_from
from runner.store.journeys.spread import after_last, last_released
from runner.store.journeys.standing import Stand, stands
from runner.store.journeys.versions import StoredVersion, hashes_of, version_files
from runner.store.passes.program import ProgramSql
from runner.store.passes.told import store_told
from runner.store.statement import Connection

RETIRED = "retired"
"""The reason of runs that end since their journey is retired."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The people in one version of a journey, by the nodes of its program at which they stand, in order. ``project`` is
    as it was applied."""

    version: int
    hash: str
    project: Project
    program: Program
    stands: tuple[Stand, ...]

    @property
    def people(self) -> Mapping[int, int]:
        """How many stand at each node."""
        return {each.node: each.people for each in self.stands}


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """An older version under a newer one that its people follow into, and where those go who stand at each of its
    nodes."""

    standing: Standing
    fates: Mapping[int, Fate]

    def problems(self, new: Program) -> Iterator[Problem]:
        """One for each step with people of whom nobody knows where they go."""
        for node, people in self.standing.people.items():
            fate = self.fates[node]
            if isinstance(fate, Unaccounted):
                yield _left_behind(self.standing.program.nodes[node], people, fate.trouble, new)


@dataclass(frozen=True, kw_only=True)
class Crossed:
    """What became of the people in older versions of a journey: how many were ``carried`` over, ``moved`` to a step of
    another name, or left. ``overdue``: of whom the time is up by what the new version says, and who go on one after the
    other until ``released_until``; None where there are none."""

    carried: int = 0
    moved: int = 0
    left: int = 0
    overdue: int = 0
    released_until: datetime | None = None


def people_in(connection: Connection, journey: str, *, but: str | None = None) -> tuple[Standing, ...]:
    """The versions of ``journey`` that people are in, the oldest first; without the one of the hash ``but``.

    Raises JourneysError where a stored version cannot be read by this release of the software.
    """
    hashes = {number: hash_ for number, hash_ in hashes_of(connection, journey).items() if hash_ != but}
    found: dict[int, list[Stand]] = {}
    for stand in stands(connection, hashes):
        found.setdefault(stand.version, []).append(stand)
    standing = []
    for number, at in sorted(found.items()):
        project = stored_project(journey, number, version_files(connection, number))
        program = compile_program(project.journeys[journey])
        standing.append(
            Standing(version=number, hash=hashes[number], project=project, program=program, stands=tuple(at))
        )
    return tuple(standing)


def crossings(standing: Sequence[Standing], new: Program) -> tuple[Crossing, ...]:
    """How the people of each version come over into ``new``."""
    return tuple(Crossing(standing=each, fates=succession(each.program, new)) for each in standing)


def _left_behind(node: Node, people: int, trouble: Trouble, new: Program) -> Problem:
    """Says who stands where, and what to write."""
    step, journey = node.step.id, new.journey
    who = f"{people:,} people stand" if people != 1 else "One person stands"
    why = {
        Trouble.REMOVED: "which is gone",
        Trouble.RETYPED: "which is of another kind now",
        Trouble.MISMATCHED: f"and `moved` leads to `{journey.in_flight.moved.get(step)}`, a step of another kind",
    }[trouble]
    return Problem(
        code="in-flight/left-behind",
        message=f"{who} at `{step}` of `{journey.name}`, {why}.",
        span=journey.span,
        hint=f"Say where they go: `moved: {{{step}: STEP}}`, a step of the same kind, or"
        f" `moved: {{{step}: {{exit: REASON}}}}`.",
    )


class People:
    """Those in flight, within the transaction of one ``apply``. All partitions are held from the first journey on that
    has something to do with them."""

    def __init__(
        self, database: Database, connection: Connection, project: Project, now: datetime, per_minute: int
    ) -> None:
        self.connection = connection
        self._database = database
        self._project = project
        self._now = now
        self._per_minute = per_minute
        self._held = False
        self._numbers = count(1)
        self._released_until: datetime | None = None
        zone = project.catalog.timezone
        self._told = watched_by((journey, zone) for journey in project.journeys.values()).journeys

    def follow(self, journey: Journey, version: int, hash_: str) -> tuple[Crossed, tuple[Problem, ...]]:
        """Carry those in older versions of ``journey`` over into ``version``, if they follow, and end all runs of a
        journey that is retired so. Where somebody is left behind the problems say so, and nothing has been done."""
        name = journey.name
        ends = journey.in_flight.retired is Retired.EXIT
        if not journey.in_flight.follows and not ends:
            return Crossed(), ()
        if not ends:
            self._keep_places(journey)
        if not stands(self.connection, hashes_of(self.connection, name)):
            return Crossed(), ()
        self._hold()
        if ends:
            return Crossed(left=self._end_all(name)), ()
        program = compile_program(journey)
        found = crossings(people_in(self.connection, name, but=hash_), program)
        problems = tuple(problem for each in found for problem in each.problems(program))
        if problems:
            return Crossed(), problems
        timezone = self._project.catalog.timezone
        sql = ProgramSql(version, program, timezone, self.connection.dialect.name)
        return self._cross(sql, found), ()

    def ask_again(self, before: StoredVersion, journey: Journey, hash_: str) -> int:
        """Have those asked again at once who wait at a send for a policy, or anything else of the send, that is another
        in ``journey`` than in ``before``, the version that was in force: what keeps them may keep them no more. Answers
        how many there are."""
        catalog = stored_project(before.journey, before.id, before.files).catalog
        present, follows = self._project.catalog, journey.in_flight.follows
        hashes = hashes_of(self.connection, before.journey)
        if (catalog.policies, catalog.topics) == (present.policies, present.topics) and not (
            follows and kept_waiting(self.connection, hashes, self._now)
        ):
            return 0
        self._hold()
        found = []
        waiting = kept_waiting(self.connection, hashes, self._now)
        for number, kept in groupby(waiting, key=lambda each: each.version):
            own = stored_project(before.journey, number, version_files(self.connection, number))
            old = compile_program(own.journeys[before.journey])
            fates = succession(old, compile_program(journey)) if follows and hashes[number] != hash_ else {}
            rules = send_rules(old.journey, own.catalog, catalog)
            next_rules = send_rules(old.journey, own.catalog, present)
            for one in kept:
                node, fate = old.nodes[one.node], fates.get(one.node)
                send, next_ = node.verb, (fate.node if isinstance(fate, Carried | Moved) else node).verb
                if not (isinstance(send, Send) and isinstance(next_, Send)):
                    continue
                if rules.keeping_back(send, one.reason) != next_rules.keeping_back(next_, one.reason):
                    found.append(one)
                    if one.reason == RATE:
                        give_back_places(
                            self.connection, one, journey.name, node.step.id, send.valid_for, self._now
                        )
        return ask_at_once(self.connection, found, self._now)

    def _keep_places(self, journey: Journey) -> None:
        """What a send has used of its rate under the names that it had before counts for it."""
        renamed = journey.in_flight.renamed or {}
        if renamed and has_places(self.connection, journey.name, renamed):
            self._hold()
            take_over_places(self.connection, journey.name, renamed)

    def _hold(self) -> None:
        if not self._held:
            hold_everybody(self.connection, self._database.deployment.partitions)
            self._held = True

    def _end_all(self, name: str) -> int:
        stage = next(self._numbers)
        left = end_journey(self.connection, stage, name, RETIRED, self._now)
        if left:
            self._tell_of_exits(stage)
        return left

    def _tell_of_exits(self, stage: int) -> None:
        tell_of_exits(self.connection, stage, self._told)
        store_told(self.connection)

    def _cross(self, sql: ProgramSql, found: Sequence[Crossing]) -> Crossed:
        carried = moved = left = overdue = 0
        until = None
        n = next(self._numbers)
        for crossing in found:
            people, fates = crossing.standing.people, crossing.fates
            left += self._leave(crossing)
            places = {
                node: _place(crossing.standing.program, node, fate.node, sql.program)
                for node in people
                if isinstance(fate := fates[node], Carried | Moved)
            }
            here = carry_over(self.connection, sql, crossing.standing.version, places, n, self._now)
            elsewhere = sum(people[node] for node in places if isinstance(fates[node], Moved))
            carried, moved = carried + here - elsewhere, moved + elsewhere
        timers = sql.program.journey.in_flight.timers
        if carried + moved and timers is not Timers.KEEP:
            nodes = [node for node in sql.program.nodes if node.timer_outcome is not None]
            restart = timers is Timers.RESTART
            count_anew(self.connection, sql, nodes, n, self._now, restart=restart)
            begin = self._begin(sql.program.journey.name)
            overdue = release(self.connection, sql, n, self._now, begin=begin, per_minute=self._per_minute)
            if overdue:
                until = self._released_until = last_released(begin, overdue, self._per_minute)
        return Crossed(carried=carried, moved=moved, left=left, overdue=overdue, released_until=until)

    def _begin(self, journey: str) -> datetime:
        """When the first goes on of those whose time is up: behind all others who are let go, be it by other commands.
        Those of the journey itself are let go anew."""
        begin = free_from(self.connection, Queue.RUNS, self._now, self._per_minute, but=journey)
        before = self._released_until
        return begin if before is None else max(begin, after_last(before, self._per_minute))

    def _leave(self, crossing: Crossing) -> int:
        reasons = {
            node: fate.reason
            for node in crossing.standing.people
            if isinstance(fate := crossing.fates[node], Leaves)
        }
        if not reasons:
            return 0
        stage = next(self._numbers)
        left = end_where(self.connection, stage, crossing.standing.version, reasons, self._now)
        self._tell_of_exits(stage)
        return left


def _place(old: Program, index: int, node: Node, new: Program) -> Place:
    before = old.nodes[index]
    return Place(
        node=node,
        looked_at=_exits(old) != _exits(new) or _turns(before) != _turns(node),
        gone=frozenset(edge.outcome for edge in before.edges) - {edge.outcome for edge in node.edges},
    )


def _exits(program: Program) -> list[tuple[Expression, str]]:
    return [(rule.when, rule.reason) for rule in program.journey.exits if rule.when is not None]


def _turns(node: Node) -> list[tuple[Expression, str]]:
    return [(wake.when, wake.outcome) for wake in wakes_of(node.verb) if isinstance(wake, Turns)]
