"""What steps write to their run: the values that expressions and templates read as ``run.NAME``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from runner.journey.graph import walk
from runner.journey.model import Ask, Call, Draw, Journey, Send, Update, Verb, WaitAny, WaitCollect, WaitEvent
from runner.journey.template import Template, templates_sent
from runner.journey.template_reads import members_read
from runner.journey.values import STRING, ValueType
from runner.journey.version import expressions_of


def written_by(verb: Verb) -> Iterator[tuple[str, ValueType]]:
    """Name and type of each value that a step with this verb may write."""
    match verb:
        case Send():
            yield "blocked", STRING
        case Update(values=values):
            for name, expression in values:
                yield name, expression.type
        case WaitEvent(save_as=saved) | WaitCollect(save_as=saved) if saved is not None:
            yield saved.name, saved.type
        case Draw(save_as=name):
            yield name, STRING
        case Call(answer=saved) if saved is not None:
            yield saved.name, saved.type
        case WaitAny(options=options):
            for option in options:
                if option.save_as is not None:
                    yield option.save_as.name, option.save_as.type


def asked_of_readers(journey: Journey) -> dict[str, ValueType]:
    """Name → type of the values that readers may give at any time, by links."""
    asks = (link.action for link in journey.links if isinstance(link.action, Ask))
    return {asked.name: asked.type for ask in asks for asked in ask.values}


def run_values(journey: Journey) -> dict[str, ValueType]:
    """Name → type of all values that the steps of a journey write, and its readers."""
    written = {name: type for step in walk(journey.steps) for name, type in written_by(step.verb)}
    return asked_of_readers(journey) | written


def written_behind(journey: Journey, templates: Sequence[Template]) -> frozenset[str]:
    """The sends whose texts read values of the run that a step behind them writes, perhaps before the message is handed
    over: the message says what was so when it was let go."""
    found: set[str] = set()
    written: set[str] = set()
    # Every step leads to those behind it in the file alone.
    for step in reversed(tuple(walk(journey.steps))):
        if isinstance(step.verb, Send) and written:
            read = members_read(templates_sent(templates, [step.verb]), "run")
            if read is None or read & written:
                found.add(step.id)
        written |= {name for name, _ in written_by(step.verb)}
    return frozenset(found)


def reads_blocked(journey: Journey, templates: Iterable[Template]) -> bool:
    """Whether anything of the journey reads ``run.blocked``."""
    texts = (text for template in templates for text in template.texts)
    return any("run.blocked" in expression.canonical() for expression in expressions_of(journey)) or any(
        "run.blocked" in text for text in texts
    )
