"""Runs that were set aside go on where they stood, when an operator says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from runner.engine.versions import Versions, load_versions
from runner.journey.model import Retired
from runner.problem import JourneysError
from runner.store.audit import record
from runner.store.database import Database
from runner.store.journeys.in_force import in_force
from runner.store.journeys.states import state_of
from runner.store.tables import JourneyState
from runner.store.work.aside import Aside, hold_still, resume

BATCH = 1_000


@dataclass(frozen=True, kw_only=True)
class Resumed:
    """``on`` stand where they stood. ``placeless`` cannot: it is not known where that was. ``not_now``: another run of
    the same journey is on for the contact, or somebody else has resumed it. ``over``: everybody has left the journey,
    which is stopped, or retired with ``exit``."""

    on: tuple[Aside, ...] = ()
    placeless: tuple[Aside, ...] = ()
    not_now: tuple[Aside, ...] = ()
    over: tuple[Aside, ...] = ()


def step_of(versions: Versions, one: Aside) -> str | None:
    """The step at which the run stood; None where that is not known."""
    version = versions.by_id.get(one.version)
    if version is None or one.node is None or one.node >= len(version.program.nodes):
        return None
    return version.program.nodes[one.node].step.id


def _is_over(versions: Versions, journey: str) -> bool:
    """Whether everybody has left the journey, so that nobody may go on in it."""
    current = versions.current[journey]
    return current.state is JourneyState.STOPPED or current.journey.in_flight.retired is Retired.EXIT


def resume_runs(database: Database, wanted: Sequence[Aside], *, now: datetime, who: str) -> Resumed:
    """Let ``wanted`` go on, and write that down.

    A wait that is over by now ends at the next tick, as after a pause of the daemon. Events that came meanwhile are not
    handled for these runs any more, but exit conditions read them.

    Raises JourneysError where what is in force has changed meanwhile.
    """
    versions = load_versions(database)
    over = {one for one in wanted if _is_over(versions, one.journey)}
    steps = {one: step for one in wanted if one not in over and (step := step_of(versions, one)) is not None}
    known = list(steps)
    on: list[Aside] = []
    for start in range(0, len(known), BATCH):
        part = known[start : start + BATCH]
        with database.begin() as connection:
            # In the order in which a stop and an apply take them: neither comes between the look and the writing.
            for name in sorted({one.journey for one in part}):
                state_of(connection, name)
            if in_force(connection) != versions.in_force:
                raise JourneysError("what is in force has changed meanwhile; resume the runs again")
            hold_still(connection, {one.partition for one in part})
            resumed = [
                one
                for one in part
                if resume(
                    connection,
                    one,
                    step=steps[one],
                    look_at=now if versions.by_id[one.version].sql.reads_time else None,
                )
            ]
            if resumed:
                detail = {"runs": [[one.contact_key, one.journey, steps[one]] for one in resumed]}
                record(connection, at=now, who=who, what="runs resume", detail=detail)
        on += resumed
    return Resumed(
        on=tuple(on),
        placeless=tuple(one for one in wanted if one not in steps and one not in over),
        not_now=tuple(one for one in known if one not in set(on)),
        over=tuple(one for one in wanted if one in over),
    )
