"""What lets a run go on from a step at which it stands, before its timer: events and conditions, by outcome.

A run stands at a step until its timer is due or one of the step's *wakes* comes. Waits are such steps; so is each step
that asks somebody and stands until the answer comes back as an event with a reserved name. All that the engine knows of
them is what this module answers for their verb (``wakes_of``), and when the timer is due
(``runner.store.steps.waits.due``). A new kind of step at which runs stand needs

- a line in ``wakes_of``: which events and conditions wake its runs, by which outcomes, and what of the event is saved;
- its edges and its timer outcome in ``runner.journey.graph`` (a run whose time is up leaves by the timer outcome; with
  ``AGAIN`` it comes to its own step once more, which then says what becomes of it);
- a line in ``runner.store.steps.waits.due`` for its timer, and in ``runner.engine.advance`` to let it rest.

The event may be one of the catalog or a reserved one. An answer names the run and the step that asked (properties
``run``, the run's number within its contact, and ``step``): ``own`` heeds no other. A visit beyond the first is told
apart by ``where``.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.journey.catalog import CALL_ANSWERED, TASK_ACCEPTED, TASK_REJECTED
from runner.journey.expression import Expression
from runner.journey.expression.tree import Name
from runner.journey.model import Call, HandOff, Option, SavedAs, Verb, WaitAny, WaitEvent, WaitWhen
from runner.journey.values import BOOLEAN


@dataclass(frozen=True, kw_only=True)
class Hears:
    """The event ``event``, where ``where`` holds.

    ``since_entry``: one that has come since the run entered counts too, when the run arrives. ``own``: only one whose
    properties ``run`` and ``step`` name the run and the step at which it stands. ``save_as`` keeps the event's
    properties as ``run.NAME``, or only its property ``member``.
    """

    outcome: str
    event: str
    where: Expression | None = None
    since_entry: bool = False
    own: bool = False
    save_as: SavedAs | None = None
    member: str | None = None


@dataclass(frozen=True, kw_only=True)
class Turns:
    """As soon as ``when`` is true: on arrival, at an event of the contact, or at an instant at which time turns it."""

    outcome: str
    when: Expression


Wake = Hears | Turns


def wakes_of(verb: Verb) -> tuple[Wake, ...]:
    """What wakes the runs at a step; of several that come together, the first does."""
    match verb:
        case WaitEvent():
            return (_hears("event", verb),)
        case WaitWhen(when=when):
            return (Turns(outcome="true", when=when),)
        case WaitAny(options=options):
            return tuple(
                _hears(option.name, option)
                if option.when is None
                else Turns(outcome=option.name, when=option.when)
                for option in options
            )
        case Call(answer=saved):
            good = Expression("event.ok", Name("event", ("ok",), BOOLEAN), BOOLEAN)
            return (
                Hears(
                    outcome="answered",
                    event=CALL_ANSWERED,
                    where=good,
                    own=True,
                    save_as=saved,
                    member="json",
                ),
                Hears(outcome="failed", event=CALL_ANSWERED, own=True),
            )
        case HandOff():
            return (
                Hears(outcome="accepted", event=TASK_ACCEPTED, own=True),
                Hears(outcome="rejected", event=TASK_REJECTED, own=True),
            )
    return ()


def _hears(outcome: str, heard: WaitEvent | Option) -> Hears:
    assert heard.event is not None
    return Hears(
        outcome=outcome,
        event=heard.event,
        where=heard.where,
        since_entry=heard.since_entry,
        save_as=heard.save_as,
    )
