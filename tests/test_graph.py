"""A journey as a program: where each way out of a step leads."""

from __future__ import annotations

from runner.journey.duration import Duration
from runner.journey.expression import literal_expression
from runner.journey.graph import compile_program
from runner.journey.model import (
    Condition,
    EventTrigger,
    Exit,
    Goto,
    Journey,
    Leave,
    Send,
    Step,
    Verb,
    WaitEvent,
    WaitFor,
    WaitUntil,
)
from runner.journey.values import BOOLEAN, DATE
from runner.problem import Span

HERE = Span("journey.yaml", 1, 1)
YES = literal_expression(True, BOOLEAN)


def step(name: str, verb: Verb) -> Step:
    return Step(id=name, verb=verb, span=HERE)


def send(name: str) -> Step:
    return step(name, Send(channel="email", template=name, topic="offers"))


def edges(*steps: Step) -> dict[str, dict[str, tuple[str, str | None]]]:
    """Of each step its ways out: outcome -> (the step that it leads to, or "end", and the reason of an exit)."""
    journey = Journey(name="j", title="J", triggers=(EventTrigger(event="E"),), steps=steps, span=HERE)
    program = compile_program(journey)
    names = [node.step.id for node in program.nodes] + ["end"]
    return {
        node.step.id: {edge.outcome: (names[edge.target], edge.reason) for edge in node.edges}
        for node in program.nodes
    }


def test_steps_follow_each_other_and_the_last_one_ends_the_run() -> None:
    found = edges(step("pause", WaitFor(duration=Duration(1))), send("hello"))
    assert found == {
        "pause": {"elapsed": ("hello", None)},
        "hello": {"ready": ("end", None), "blocked": ("end", None)},
    }


def test_nested_steps_go_on_behind_the_step_that_holds_them() -> None:
    found = edges(
        step(
            "answer",
            WaitEvent(event="E", up_to=Duration(1), then=(send("thanks"),), timeout=()),
        ),
        send("after"),
    )
    assert found["answer"] == {"event": ("thanks", None), "timeout": ("after", None)}
    assert found["thanks"]["ready"] == ("after", None)


def test_a_condition_without_else_ends_the_run_with_a_reason() -> None:
    assert edges(step("gate", Condition(test=YES)), send("hello"))["gate"] == {
        "true": ("hello", None),
        "false": ("end", "condition"),
    }


def test_a_condition_with_an_empty_else_goes_on() -> None:
    assert edges(step("gate", Condition(test=YES, otherwise=())), send("hello"))["gate"]["false"] == (
        "hello",
        None,
    )


def test_a_date_that_is_past_or_missing_leads_where_the_author_says() -> None:
    date = literal_expression(None, DATE)
    found = edges(
        step("until", WaitUntil(date=date, if_past=Leave.EXIT, if_missing=Goto("last"))),
        send("first"),
        send("last"),
    )
    assert found["until"] == {
        "elapsed": ("first", None),
        "past": ("end", "past"),
        "missing": ("last", None),
    }


def test_nobody_leaves_a_wait_for_a_missing_date_that_waits() -> None:
    date = literal_expression(None, DATE)
    found = edges(step("until", WaitUntil(date=date, if_missing=Leave.WAIT)), send("hello"))
    assert set(found["until"]) == {"elapsed", "past"}


def test_goto_and_exit_have_one_way_out() -> None:
    found = edges(step("jump", Goto("bye")), send("skipped"), step("bye", Exit(reason="done")))
    assert found["jump"] == {"goto": ("bye", None)}
    assert found["bye"] == {"done": ("end", "done")}
