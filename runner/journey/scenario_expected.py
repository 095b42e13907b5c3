"""What a scenario expects to happen, and which steps it says are never reached."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from runner.journey.graph import Program, compile_program
from runner.journey.model import Journey, Send, Verb
from runner.journey.scenario import (
    Expected,
    ExpectedCompletion,
    ExpectedExit,
    ExpectedPassing,
    ExpectedSend,
    Never,
)
from runner.journey.scenario_given import Unknown
from runner.journey.scenario_tree import fields_in, items_in, scalar_at, texts_in
from runner.journey.send_rules import ADDRESS_LIMIT, BLOCK_REASONS
from runner.journey.yaml import Fields, Scalar, Value
from runner.problem import Span

Note = Callable[[str, str, Span, str], None]
"""Notes a problem: code, message, where, what to do."""
At = Callable[[Fields], datetime | None]
"""The instant that an expectation says, if it says one."""


@dataclass(frozen=True)
class Expectations:
    """Reads the expectations of the scenarios of one journey. ``steps`` are its verbs by the ids of their steps."""

    journey: Journey
    steps: Mapping[str, Verb]
    unknown: Unknown
    note: Note

    def read(self, expect: Value | None, at: At) -> tuple[tuple[Expected, ...], tuple[Never, ...]]:
        """Those of one scenario, in their order."""
        expected: list[Expected] = []
        never: list[Never] = []
        latest: datetime | None = None
        for item in items_in(expect):
            fields = fields_in(item)
            if "never" in fields:
                step = scalar_at(fields, "never")
                self._known_step(step, self.steps, "step")
                never.append(Never(step=step.text, span=step.span))
                continue
            one = self._one(fields, at(fields))
            if one.at is not None and latest is not None and one.at < latest:
                message = "This is expected before what stands above it."
                self.note(
                    "tests/order", message, fields.key_span("at"), "List expectations in order of time."
                )
            latest = one.at or latest
            expected.append(one)
        return tuple(expected), tuple(never)

    def _one(self, fields: Fields, at: datetime | None) -> Expected:
        if "completed" in fields:
            return ExpectedCompletion(at=at, span=fields.key_span("completed"))
        if "exit" in fields:
            reason = scalar_at(fields, "exit")
            return ExpectedExit(at=at, reason=reason.text, span=reason.span)
        if "passes" in fields:
            return self._passing(fields, at)
        step = scalar_at(fields, "send")
        self._known_step(step, self._sends, "send step")
        blocked = fields.get("blocked")
        if isinstance(blocked, Scalar) and blocked.text not in (reasons := (*BLOCK_REASONS, ADDRESS_LIMIT)):
            self.unknown("block reason", blocked.text, reasons, blocked.span)
        said = {
            key: value.text
            for key in ("channel", "blocked", "withheld", "template")
            if isinstance(value := fields.get(key), Scalar)
        }
        return ExpectedSend(
            at=at,
            step=step.text,
            span=step.span,
            **said,
            subject_contains=texts_in(fields.get("subject_contains")),
            text_contains=texts_in(fields.get("text_contains")),
            attached_contains=texts_in(fields.get("attached_contains")),
        )

    def _passing(self, fields: Fields, at: datetime | None) -> ExpectedPassing:
        step, way = scalar_at(fields, "passes"), fields.get("way")
        self._known_step(step, self._others, "step but a send")
        if isinstance(way, Scalar) and step.text in self._others:
            ways = {edge.outcome for edge in self._program.node(step.text).edges}
            if way.text not in ways:
                self.unknown(f"way out of `{step.text}`", way.text, ways, way.span)
        said = way.text if isinstance(way, Scalar) else None
        return ExpectedPassing(at=at, step=step.text, way=said, span=step.span)

    def _known_step(self, name: Scalar, among: Collection[str], what: str) -> None:
        if name.text not in among:
            self.unknown(what, name.text, among, name.span)

    @cached_property
    def _sends(self) -> frozenset[str]:
        return frozenset(step for step, verb in self.steps.items() if isinstance(verb, Send))

    @cached_property
    def _others(self) -> frozenset[str]:
        return frozenset(self.steps) - self._sends

    @cached_property
    def _program(self) -> Program:
        return compile_program(self.journey)
