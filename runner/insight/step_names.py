"""What the steps of journeys were called, for whoever counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runner.engine.versions import Version, Versions
from runner.journey.graph import walk
from runner.journey.model import Journey
from runner.journey.renames import leading_to
from runner.journey.shown import printable
from runner.journey.words import did_you_mean, listed
from runner.problem import JourneysError
from runner.store.database import Database
from runner.store.statement import Connection
from runner.store.watching.called_now import StepNames, kept_renames


def step_names(connection: Connection, journeys: Iterable[Journey]) -> StepNames:
    """The earlier ids of the steps of ``journeys``, by what applied versions said of renames; where that was not kept
    yet, by what ``moved`` says now."""
    kept = kept_renames(connection)
    found: dict[tuple[str, str], str] = {}
    for journey in journeys:
        renames = kept.get(journey.name)
        if renames is None:
            renames = {was: now for was, now in journey.in_flight.moved.items() if isinstance(now, str)}
        kinds = {step.id: type(step.verb) for step in walk(journey.steps)}
        found |= {(journey.name, was): now for was, now in leading_to(renames, kinds).items()}
    return found


def names_in_force(database: Database, versions: Versions) -> StepNames:
    """The earlier ids of all steps of the versions that are in force."""
    with database.read() as connection:
        return step_names(connection, (version.journey for version in versions.current.values()))


def names_of_step(versions: Sequence[Version], names: StepNames, step: str) -> frozenset[str]:
    """What ``step`` is called in ``versions``, which are of one journey, and was called before. ``step`` may be any of
    these names. Raises JourneysError where no step of the journey has or had it."""
    (journey,) = {version.journey.name for version in versions}
    former = {was: now for (of, was), now in names.items() if of == journey}
    ids = {node.step.id for version in versions for node in version.program.nodes}
    if step not in ids and step not in former:
        near = did_you_mean(step, ids | set(former)) or f"It has {listed(sorted(ids), 'and')}."
        raise JourneysError(f"No step of {journey} is called {printable(step)!r}. {near}")
    today = former.get(step, step)
    return frozenset({today, *(was for was, now in former.items() if now == today)})


def place_text(journey: str, step: str, names: StepNames) -> str:
    """``tour/hello``, or ``tour/hello (now welcome)`` where the step is called otherwise today."""
    return f"{journey}/{step_text(journey, step, names)}"


def step_text(journey: str, step: str, names: StepNames) -> str:
    """``hello``, or ``hello (now welcome)``."""
    now = names.get((journey, step))
    return f"{step} (now {now})" if now else step
