"""Runs go on: through the nodes of their program in order, to a wait, a send, or their end."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import count

from runner.engine.versions import Version, Versions
from runner.journey.graph import Node
from runner.journey.model import (
    AdAudience,
    Call,
    ChangeConsent,
    Draw,
    Emit,
    Enroll,
    HandOff,
    Send,
    Split,
    Update,
    WaitAny,
    WaitCollect,
    WaitEvent,
    WaitFor,
    WaitUntil,
    WaitWhen,
)
from runner.store.causes.ends import tell_of_ends, tell_of_exits
from runner.store.passes.advance import end_runs
from runner.store.passes.exits import end_leaving_runs, exit_on_condition
from runner.store.passes.holding import hold, let_go_on
from runner.store.passes.kept import names_kept
from runner.store.passes.log import log_steps
from runner.store.passes.receive import load_zones_of_pass
from runner.store.passes.reviews import plan_reviews
from runner.store.passes.timeline import ways_taken
from runner.store.passes.working import moving
from runner.store.statement import Connection
from runner.store.steps import acts
from runner.store.steps.asks import ask
from runner.store.steps.collect import collect
from runner.store.steps.decide import Candidates, decide
from runner.store.steps.draws import draw
from runner.store.steps.route import route
from runner.store.steps.splits import split
from runner.store.steps.updates import update_values
from runner.store.steps.waits.rest import rest
from runner.store.steps.waits.wake import wake_turned
from runner.store.tables import JourneyState

FIRST_ROUND = 1_000_000
"""Numbers from here on are rounds: parts of a pass in which runs go on that were decided about together."""


@dataclass(frozen=True, kw_only=True)
class Passes:
    """What all passes of one tick share. ``event_floor``: events from before it start and wake nothing. What is due
    before ``late_before`` is late, and comes at ``now``.
    ``exact``: virtual time, where a message is handed over at the instant that lets it go."""

    connection: Connection
    versions: Versions
    exact: bool
    event_floor: datetime
    now: datetime
    late_before: datetime
    stages: count[int] = field(default_factory=count)
    rounds: count[int] = field(default_factory=lambda: count(FIRST_ROUND))
    asks: bool = True
    """Whether broadcasts and schedules ask whom they concern before they tell of it, and not only at its turn."""
    deciding: list[Candidates] = field(default_factory=list)
    """The sends at which runs of the present pass wait for a decision."""
    causes: dict[int, frozenset[str]] = field(default_factory=dict)
    """What time has caused in each pass, once that was asked."""

    def further(self) -> int:
        """The number of a new round: ``advance`` is run with it, for runs that go on in the midst of a pass."""
        return next(self.rounds)

    def end(self, stage: int, found: int) -> None:
        """End the runs that a rule has put into ``stage``, if it found any."""
        if found:
            end_leaving_runs(self.connection, stage, cancel_messages=not self.exact)
            tell_of_exits(self.connection, stage, self.versions.watched.journeys)


def advance(passes: Passes, n: int) -> None:
    """Let everybody who was woken, has entered, or whose time has come in pass ``n`` go on.

    Messages that policy looks at together are decided about when all have come as far as they can; then those runs go
    on whose messages leave or never will, in a round of their own.
    """
    _go_on(passes, n)
    while passes.deciding:
        found = tuple(passes.deciding)
        passes.deciding.clear()
        round = passes.further()
        decide(passes.connection, found, n, round)
        _go_on(passes, round)
        n = round


def _go_on(passes: Passes, n: int) -> None:
    occupied: dict[int, set[int | None]] = {}
    for number, way in ways_taken(passes.connection, n):
        occupied.setdefault(number, set()).add(passes.versions.by_id[number].sql.ways.target(way))
    for version in passes.versions:
        if version.id in occupied:
            go_on = _stay if version.state is JourneyState.PAUSED else _advance_version
            go_on(passes, n, version, occupied[version.id])


def _stay(passes: Passes, n: int, version: Version, occupied: set[int | None]) -> None:
    """The journey is paused: exit conditions are read as ever, and who would go on is held where they stand."""
    _read_exits(passes, n, version)
    _look_at(passes, n, version, occupied)
    hold(version.sql, passes.connection, n)


def _read_exits(passes: Passes, n: int, version: Version, behind: int | None = None) -> None:
    if version.sql.may_exit:
        stage = next(passes.stages)
        found = exit_on_condition(version.sql, passes.connection, n, stage, behind=behind)
        passes.end(stage, found)


def _look_at(
    passes: Passes, n: int, version: Version, occupied: set[int | None], *, some_go: bool = False
) -> set[int]:
    """Look at those whose review is due. ``some_go``: some of them go on already. Answers the nodes to which what has
    turned leads."""
    sql, reached = version.sql, set[int]()
    if None in occupied and (sql.reads_time or sql.turning or sql.follows):
        for index in sql.looked_at:
            if wake_turned(sql, version.program.nodes[index], passes.connection, n, some_go=some_go):
                reached.update(way.target for way in sql.ways.beginning(index))
        plan_reviews(sql, passes.connection, n, after_event=False)
    return reached


def _advance_version(passes: Passes, n: int, version: Version, occupied: set[int | None]) -> None:
    sql, connection = version.sql, passes.connection
    _read_exits(passes, n, version)
    reached = {node for node in occupied if node is not None}
    some_go = None in occupied and let_go_on(sql, connection, n) > 0
    if some_go:
        reached |= sql.ways.targets
    reached |= _look_at(passes, n, version, occupied, some_go=some_go)
    for node in version.program.nodes:
        if node.index in reached:
            found = _visit(passes, n, version, node)
            if found is None:
                continue
            for left in found:
                _read_exits(passes, n, version, behind=left.index)
            reached.update(way.target for way in sql.ways.beginning(node.index))
    if version.program.end in reached:
        end_runs(sql, connection, n)
        if version.journey.name in passes.versions.watched.journeys:
            tell_of_ends(sql, connection, n)
    log_steps(sql, connection, n)


def _visit(passes: Passes, n: int, version: Version, node: Node) -> list[Node] | None:
    """Let the runs at ``node`` go on. Answers the nodes that they left and behind which exit conditions are read again:
    sends, and those that write something of the run or its contact; None where nobody goes on, for they rest there, or
    nobody has come."""
    sql, connection = version.sql, passes.connection
    match node.verb:
        case WaitFor() | WaitUntil() | WaitEvent() | WaitWhen() | WaitAny() | WaitCollect():
            if not rest(sql, node, connection, n):
                return None
            return [node] if names_kept(node.verb) else []
        case Split():
            split(sql, node, connection, n)
        case Send() if node.index in sql.ways.together:
            if collect(sql, node, connection, n, passes.late_before):
                passes.deciding.append(Candidates(sql=sql, node=node))
        case Update(attributes=attributes):
            update_values(sql, node, connection, n, passes.versions.watched.attributes)
            if any(name == "timezone" for name, _ in attributes):
                load_zones_of_pass(connection, n, of=moving)
            return [node]
        case ChangeConsent():
            acts.change_consent(sql, node, connection, n, passes.versions.watched.consents)
            return [node]
        case Draw():
            draw(sql, node, connection, n)
            return [node]
        case Call() | HandOff():
            ask(sql, node, connection, n)
            rest(sql, node, connection, n)
        case AdAudience():
            ask(sql, node, connection, n)
        case Emit():
            acts.emit(sql, node, connection, n)
        case Enroll():
            acts.enroll(sql, node, connection, n)
        case _:
            return route(sql, node, connection, n)
    return []
