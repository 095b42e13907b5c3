"""What ``journeys apply`` would do to the people who are in flight, found out without doing it.

It asks what ``apply`` asks, so the two never disagree. Only how many a change of timers makes overdue cannot be read:
that is tried in a transaction which is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from runner.engine.apply import gone
from runner.engine.in_flight import Crossing, Standing, crossings, people_in
from runner.engine.moved_entries import never_applied
from runner.engine.renaming import successor
from runner.engine.versions import stored_project
from runner.engine.watch import watched_by
from runner.journey.graph import Node, Program, compile_program
from runner.journey.lasting import Lasting, PutOff, Unbounded, Waiting, lasting, standing
from runner.journey.model import Delivery, ExistingPeople, Journey, Retired, Send, Timers
from runner.journey.newest_texts import Written, kept_texts
from runner.journey.project import Project
from runner.journey.send_rules import send_rules
from runner.journey.succession import Carried, Fate, Leaves, Moved
from runner.journey.template import Template
from runner.journey.template_reads import members_read
from runner.journey.version import version_hash
from runner.problem import JourneysError, Problem, Severity
from runner.review.carried_over import kept, skipped, until
from runner.review.introduction import introduction
from runner.review.planned import (
    AtStep,
    Change,
    Existing,
    Going,
    InVersion,
    JourneyPlan,
    Plan,
    Recomputed,
)
from runner.review.tried import Tried, tried
from runner.review.unsaid_renames import unsaid_renames
from runner.review.what_changed import Difference, what_changed
from runner.settings import Limits
from runner.store.address import NotAllowedError
from runner.store.causes.existing import Existing as Holding
from runner.store.database import Database
from runner.store.journeys.standing import Stand, not_looked_for, people_for_whom
from runner.store.journeys.versions import StoredVersion, current_versions
from runner.store.statement import Connection
from runner.store.tables import JourneyState


def plan(
    database: Database | None,
    project: Project,
    *,
    now: datetime,
    released_per_minute: int = Limits.released_per_minute,
) -> Plan:
    """What applying ``project`` at ``now`` would do; ``database`` is None where there is none yet. Changes nothing.

    Raises JourneysError where a stored version cannot be read by this release of the software.
    """
    errors = tuple(problem for problem in project.problems if problem.severity is Severity.ERROR)
    if errors:
        return Plan(journeys=(), problems=errors)
    if database is None:
        new = (_new(project, name, None, now, None) for name in sorted(project.journeys))
        warned = (each.problem for journey in project.journeys.values() for each in never_applied(journey))
        return Plan(journeys=tuple(new), problems=(), warnings=tuple(warned))
    with database.read() as connection:
        before = {version.journey: version for version in current_versions(connection)}
        looked = _Look(connection=connection, project=project, now=now)
        found = [looked.at(name, before.get(name)) for name in sorted({*project.journeys, *before})]
        problems = (*gone(before.values(), project), *looked.problems)
    if not problems:
        found = _timed(database, project, looked, found, now, released_per_minute)
    return Plan(journeys=tuple(found), problems=problems, warnings=tuple(looked.warnings))


class _Look:
    """Looks at one journey after the other, at one state of the database."""

    def __init__(self, *, connection: Connection, project: Project, now: datetime) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.until: dict[str, dict[str, datetime]] = {}
        """By journey, when the last timer ends of those who come over, by the step at which they come to stand."""
        self.following: dict[str, Journey] = {}
        """The journeys that change, each knowing what its steps were called."""
        self._connection = connection
        self._project = project
        self._now = now

    def at(self, name: str, before: StoredVersion | None) -> JourneyPlan:
        journey = self._project.journeys.get(name)
        if journey is None:
            assert before is not None
            return JourneyPlan(
                journey=name, change=Change.REMOVED, before=before.hash, after=None, state=before.state,
                versions=self._finishing(people_in(self._connection, name)),
            )  # fmt: skip
        hash_ = version_hash(self._project, name)
        if before is not None and before.hash == hash_:
            return JourneyPlan(
                journey=name, change=Change.UNCHANGED, before=hash_, after=hash_, state=before.state
            )
        found = _new(self._project, name, before, self._now, self._connection)
        next_ = successor(self._connection, before, journey, hash_)
        self.problems += next_.problems
        self.warnings += next_.warnings
        self.following[name] = next_.journey
        people = people_in(self._connection, name, but=hash_)
        found = replace(
            found,
            existing=self._existing(before, journey) if found.change is not Change.RETIRED else None,
            differences=self._differences(before, next_.journey) if before is not None else None,
        )
        if journey.in_flight.retired is Retired.EXIT:
            return replace(found, versions=tuple(_leaving(each, "retired") for each in people))
        if not journey.in_flight.follows:
            return replace(found, versions=self._finishing(people))
        program = compile_program(next_.journey)
        over = crossings(people, program)
        self.problems += [problem for each in over for problem in each.problems(program)]
        self.until[name] = until(over)
        return replace(
            found,
            timers=journey.in_flight.timers,
            kept=kept(over, self.until[name]) if journey.in_flight.timers is Timers.KEEP else (),
            versions=tuple(_crossing(each, program) for each in over),
            unsaid=unsaid_renames(self._connection, over, program, self._project, next_.renames, next_.void),
        )

    def _differences(self, before: StoredVersion, journey: Journey) -> tuple[Difference, ...] | None:
        try:
            project = stored_project(journey.name, before.id, before.files, before.renames)
        except JourneysError:
            return None
        old = compile_program(project.journeys[journey.name])
        return what_changed(project, old, self._project, compile_program(journey))

    def _finishing(self, found: Sequence[Standing]) -> tuple[InVersion, ...]:
        return tuple(
            replace(
                _finishing(each, self._waiting(each), self._put_off(each), self._now),
                old_texts=self._old_texts(each),
                delivery=self._other_delivery(each),
            )
            for each in found
        )

    def _waiting(self, found: Standing) -> Waiting:
        """Which messages of a version may have to wait, by the policies that would be in force."""
        catalog = self._project.catalog
        rules = send_rules(found.program.journey, catalog, catalog)

        def waiting(send: Send) -> bool:
            asked = rules.quiet_hours(send) or rules.caps(send) or rules.holds(send)
            return bool(send.window or send.rate or asked)

        return waiting

    def _put_off(self, found: Standing) -> PutOff:
        """By the texts of the version as well as the newest ones, which its people may read."""
        journey = found.program.journey
        links = [each.name for each in journey.links if each.puts_off]
        texts = [*found.project.templates[journey.name], *self._project.templates.get(journey.name, ())]

        def put_off(send: Send) -> str | None:
            if not links:
                return None
            read = members_read([each for each in texts if send.sends(each.name)], "links")
            return next((each for each in links if read is None or each in read), None)

        return put_off

    def _old_texts(self, found: Standing) -> Mapping[str, str]:
        name = found.program.journey.name
        if name not in self._project.journeys:
            return {}
        old, new = _written(found.project, name), _written(self._project, name)
        sends = _sends_ahead(found)
        return {
            template: reason
            for template, reason in kept_texts(old, new).items()
            if _named(old, template) != _named(new, template) and any(send.sends(template) for send in sends)
        }

    def _other_delivery(self, found: Standing) -> Delivery | None:
        own, newest = found.program.journey, self._project.journeys.get(found.program.journey.name)
        return own.delivery if newest is not None and own.delivery is not newest.delivery else None

    def _existing(self, before: StoredVersion | None, journey: Journey) -> Existing | None:
        """Those who are not in the journey and for whom a trigger holds already: one that nobody has been looked for
        before, or that says something else than in the version in force."""
        enter = journey.existing is ExistingPeople.ENTER
        matched = _triggers(self._project, journey)
        if enter:
            asked = not_looked_for(self._connection, matched)
        else:
            known = {each.key for each in self._triggers_before(before)}
            asked = tuple(each for each in matched if each.key not in known)
        people = people_for_whom(self._connection, asked, journey.name, self._now)
        return Existing(people=people, enter=enter) if people else None

    def _triggers_before(self, before: StoredVersion | None) -> Sequence[Holding]:
        if before is None:
            return ()
        try:
            project = stored_project(before.journey, before.id, before.files, before.renames)
        except JourneysError:
            return ()
        return _triggers(project, project.journeys[before.journey])


def _triggers(project: Project, journey: Journey) -> Sequence[Holding]:
    """Of the triggers those that may hold already, whether or not people enter by that."""
    asked = replace(journey, existing=ExistingPeople.ENTER)
    return watched_by([(asked, project.catalog.timezone)]).existing


def _sends_ahead(found: Standing) -> Sequence[Send]:
    """What is still sent to those who stand in a version."""
    program = found.program
    ahead = set(found.people).union(*(program.ahead(program.nodes[each]) for each in found.people))
    verbs = [node.verb for node in program.nodes if node.index in ahead]
    return [verb for verb in verbs if isinstance(verb, Send)]


def _new(
    project: Project, name: str, before: StoredVersion | None, now: datetime, connection: Connection | None
) -> JourneyPlan:
    journey = project.journeys[name]
    change = Change.NEW if before is None else Change.CHANGED
    if journey.in_flight.retired is not None:
        change = Change.RETIRED
    return JourneyPlan(
        journey=name,
        change=change,
        introduction=introduction(project, journey, now, connection) if change is Change.NEW else None,
        before=before.hash if before else None,
        after=version_hash(project, name),
        state=before.state if before else JourneyState.LIVE,
    )


def _written(project: Project, name: str) -> Written:
    return Written(
        journey=project.journeys[name],
        catalog=project.catalog,
        templates=tuple(project.templates.get(name, ())),
    )


def _named(written: Written, template: str) -> list[Template]:
    return [each for each in written.templates if each.name == template]


def _step(program: Program, node: int) -> str:
    return program.nodes[node].step.id


def _leaving(found: Standing, reason: str) -> InVersion:
    steps = (
        AtStep(step=_step(found.program, node), people=people, going=Going.LEAVES, to=reason)
        for node, people in found.people.items()
    )
    return InVersion(hash=found.hash, steps=tuple(steps))


def _crossing(crossing: Crossing, new: Program) -> InVersion:
    found = crossing.standing
    return InVersion(
        hash=found.hash,
        steps=tuple(
            _at_step(_step(found.program, node), people, crossing.fates[node], skipped(crossing, node, new))
            for node, people in found.people.items()
        ),
    )


def _at_step(step: str, people: int, fate: Fate, skipped: tuple[str, ...]) -> AtStep:
    match fate:
        case Carried():
            return AtStep(step=step, people=people, going=Going.STAYS, skipped=skipped)
        case Moved(node=node):
            return AtStep(step=step, people=people, going=Going.MOVES, to=node.step.id, skipped=skipped)
        case Leaves(reason=reason):
            return AtStep(step=step, people=people, going=Going.LEAVES, to=reason)
        case _:
            return AtStep(step=step, people=people, going=Going.NOWHERE)


def _finishing(found: Standing, waiting: Waiting, put_off: PutOff, now: datetime) -> InVersion:
    steps = tuple(
        AtStep(step=_step(found.program, node), people=people, going=Going.FINISHES)
        for node, people in found.people.items()
    )
    behind = lasting(found.program, waiting, put_off)
    ends = [
        _end(found.program.nodes[each.node], each, behind[each.node], waiting, now) for each in found.stands
    ]
    endless = next((each for each in ends if isinstance(each, Unbounded)), None)
    if endless is not None:
        return InVersion(hash=found.hash, steps=steps, endless=endless.step, put_off_by=endless.link)
    until = max((each for each in ends if isinstance(each, datetime)), default=None)
    return InVersion(hash=found.hash, steps=steps, until=until)


def _end(node: Node, stand: Stand, behind: Lasting, waiting: Waiting, now: datetime) -> datetime | Unbounded:
    """When the last of those at a step has finished; or the step that may keep them for as long as it likes."""
    if isinstance(behind, Unbounded):
        return behind
    here = standing(node, waiting)
    # A timer that is set is known, whatever it hangs on. A message that waits may wait again.
    if stand.untimed or stand.due is None or isinstance(node.verb, Send):
        if isinstance(here, Unbounded):
            return here
        latest = max(now, stand.arrived + here.most)
    else:
        latest = max(now, stand.due)
    return latest + behind.most


def _timed(
    database: Database,
    project: Project,
    looked: _Look,
    found: Sequence[JourneyPlan],
    now: datetime,
    per_minute: int,
) -> list[JourneyPlan]:
    """The plans with those who become overdue, and when waits end, where the timers of those who come over are counted
    anew."""
    anew = {
        each.journey: each.after or "" for each in found if _cross(each) and each.timers is not Timers.KEEP
    }
    if not anew:
        return list(found)
    try:
        after = tried(database, project, looked.following, anew, now, per_minute)
    except NotAllowedError:
        return [replace(each, overdue=None) if each.journey in anew else each for each in found]
    return [
        _recomputed(each, after[each.journey], looked.until[each.journey]) if each.journey in anew else each
        for each in found
    ]


def _recomputed(found: JourneyPlan, its: Tried, before: Mapping[str, datetime]) -> JourneyPlan:
    waits = (
        Recomputed(step=step, before=before.get(step), after=until)
        for step, until in its.until.items()
        if until != before.get(step)
    )
    return replace(
        found,
        overdue=its.crossed.overdue,
        released_until=its.crossed.released_until,
        recomputed=tuple(waits),
    )


def _cross(found: JourneyPlan) -> bool:
    over = (Going.STAYS, Going.MOVES)
    return any(each.going in over for version in found.versions for each in version.steps)
