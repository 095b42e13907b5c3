"""Stretches: what one statement does for runs that come to a decision or a send."""

from __future__ import annotations

from shop import FILES, START, Shop

from runner.journey.graph import compile_program
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.passes.ways import LONGEST, Ways

HEAD = """
journey: greet
language: 1
title: Greet whoever signs up
topic: offers
trigger: {event: Signed Up}
steps:
"""


def ways(steps: str) -> dict[str, list[str]]:
    """Of each step that begins a stretch, the paths from there: `step.outcome`, and where they lead."""
    project = load_project(with_steps(steps))
    assert not project.problems, project.problems
    program = compile_program(project.journeys["greet"])
    names = [node.step.id for node in program.nodes] + ["end"]
    found = Ways(program)
    told = {}
    for node in program.nodes:
        if node.index in found.beginnings:
            told[node.step.id] = [
                " ".join(
                    [
                        *(
                            f"{s.node.step.id}.{s.edge.outcome}" + (f"({s.detail})" if s.detail else "")
                            for s in way.steps
                        ),
                        f"-> {names[way.target]}",
                    ]
                )
                for way in found.beginning(node.index)
            ]
    return told


def with_steps(steps: str) -> dict[str, str]:
    texts = {f"journeys/greet/{name}.txt": "---\nsubject: Hello\n---\nHello\n" for name in ("one", "two")}
    kept = {path: text for path, text in FILES.items() if "hello" not in path}
    return {**kept, **texts, "journeys/greet/journey.yaml": HEAD + steps}


def test_a_stretch_reaches_to_a_send_and_to_a_wait() -> None:
    found = ways(
        """
  - id: gate
    condition:
      if: contact.vip
      else: [{id: over, exit: not_vip}]
  - {id: one, send: email}
  - {id: day, wait: 1d}
"""
    )
    assert found == {
        "gate": [
            "gate.true one.ready -> day",
            "gate.true one.blocked(no_address) -> day",
            "gate.true one.blocked(suppressed) -> day",
            "gate.true one.blocked(no_consent) -> day",
            "gate.false over.not_vip -> end",
        ],
        # Whoever was left to stand there by a policy that is no more goes on from here.
        "one": [
            "one.ready -> day",
            "one.blocked(no_address) -> day",
            "one.blocked(suppressed) -> day",
            "one.blocked(no_consent) -> day",
        ],
        "day": ["day.elapsed -> end"],
    }


def test_a_stretch_ends_before_what_an_update_may_have_changed() -> None:
    found = ways(
        """
  - id: gate
    condition:
      if: contact.vip
      else: [{id: mark, update: {set: {vip: true}}}]
  - {id: again, condition: contact.points > 1}
  - {id: day, wait: 1d}
"""
    )
    assert found["gate"] == ["gate.true -> again", "gate.false -> mark"]
    assert found["again"] == ["again.true -> day", "again.false -> end"]


def test_a_stretch_has_no_more_ways_than_its_limit() -> None:
    conditions = "".join(
        f"  - {{id: c{n}, condition: {{if: contact.points > {n}, else: []}}}}\n" for n in range(12)
    )
    found = ways(conditions)
    assert all(len(paths) <= LONGEST for paths in found.values())
    assert len(found) < 12


def test_a_send_that_two_stretches_reach_in_one_pass_writes_each_message_once(database: Database) -> None:
    files = with_steps(
        """
  - id: gate
    condition:
      if: contact.vip
      else:
        - {id: one, send: email}
        - {id: on, goto: two}
  - id: jump
    goto: two
  - {id: two, send: email}
"""
    )
    shop = Shop(database, files)
    shop.identify("anna", vip=True)
    shop.identify("bela", vip=False)
    shop.arrive(shop.event(key, "Signed Up", plan="pro", seats=1) for key in ("anna", "bela"))
    shop.tick(START)
    assert shop.statuses() == {"anna/two": "ready", "bela/one": "ready", "bela/two": "ready"}
