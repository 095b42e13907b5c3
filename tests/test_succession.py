"""Where people go who stand in an older version of a journey."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from runner.journey.duration import Duration
from runner.journey.expression import literal_expression
from runner.journey.graph import Program, compile_program
from runner.journey.model import (
    Branch,
    Case,
    EventTrigger,
    Exit,
    Followers,
    InFlight,
    Journey,
    Send,
    Step,
    Verb,
    WaitEvent,
    WaitFor,
)
from runner.journey.succession import Carried, Fate, Leaves, Moved, Trouble, Unaccounted, succession
from runner.journey.values import BOOLEAN
from runner.problem import Span

HERE = Span("journey.yaml", 1, 1)


def step(name: str, verb: Verb) -> Step:
    return Step(id=name, verb=verb, span=HERE)


def send(name: str) -> Step:
    return step(name, Send(channel="email", template=name, topic="offers"))


def pause(name: str, days: int = 1) -> Step:
    return step(name, WaitFor(duration=Duration(days)))


def program(*steps: Step, moved: Mapping[str, str | Exit] | None = None) -> Program:
    in_flight = InFlight(followers=Followers.FOLLOW, moved=moved or {})
    trigger = EventTrigger(event="E")
    return compile_program(
        Journey(name="j", title="J", triggers=(trigger,), steps=steps, span=HERE, in_flight=in_flight)
    )


def fates(old: Program, new: Program) -> dict[str, Fate]:
    """By the id of the old step."""
    return {old.nodes[index].step.id: fate for index, fate in succession(old, new).items()}


def test_a_step_of_the_same_id_and_kind_carries_its_people_whatever_else_changed() -> None:
    old = program(pause("rest", 1), send("hello"))
    yes = literal_expression(True, BOOLEAN)
    nested = step("which", Branch(cases=(Case(name="a", when=yes, steps=(send("hello"), pause("rest", 9))),)))
    new = program(send("first"), nested)
    assert fates(old, new) == {"rest": Carried(new.node("rest")), "hello": Carried(new.node("hello"))}


def test_moved_leads_to_a_step_of_the_same_kind_or_ends_the_run() -> None:
    old = program(pause("rest"), send("nudge"), send("offer"))
    new = program(
        pause("rest"), send("reminder"), moved={"nudge": "reminder", "offer": Exit(reason="superseded")}
    )
    assert fates(old, new) == {
        "rest": Carried(new.node("rest")),
        "nudge": Moved(new.node("reminder")),
        "offer": Leaves("superseded"),
    }


def test_what_is_gone_or_of_another_kind_and_not_moved_is_unaccounted() -> None:
    old = program(pause("rest"), send("nudge"), pause("later"), send("offer"))
    until = step("rest", WaitEvent(event="E", up_to=Duration(1)))
    new = program(until, send("reminder"), moved={"later": "reminder"})
    assert fates(old, new) == {
        "rest": Unaccounted(Trouble.RETYPED),
        "nudge": Unaccounted(Trouble.REMOVED),
        "later": Unaccounted(Trouble.MISMATCHED),
        "offer": Unaccounted(Trouble.REMOVED),
    }


@pytest.mark.parametrize(
    ("target", "expected"), [("pause", "moved"), (Exit(reason="retyped"), "leaves")], ids=["moved", "leaves"]
)
def test_moved_serves_a_step_that_was_retyped(target: str | Exit, expected: str) -> None:
    old = program(pause("rest"))
    new = program(send("rest"), pause("pause"), moved={"rest": target})
    wanted = {"moved": Moved(new.node("pause")), "leaves": Leaves("retyped")}[expected]
    assert fates(old, new) == {"rest": wanted}


def test_moved_does_nothing_to_a_step_that_carries_its_people() -> None:
    old = program(pause("rest"))
    new = program(pause("rest"), pause("other"), moved={"rest": "other"})
    assert fates(old, new) == {"rest": Carried(new.node("rest"))}


def test_the_ids_from_which_people_moved_to_a_step() -> None:
    in_flight = InFlight(moved={"a": "c", "b": "c", "d": Exit(reason="gone"), "e": "f"})
    assert in_flight.former("c") == {"a", "b"}
    assert in_flight.former("a") == frozenset()
