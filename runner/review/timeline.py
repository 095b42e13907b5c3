"""What happened in a scenario beside what was expected: aligned, compared, and set as text.

Pure: happenings come from the store, expectations from the file, and nothing here touches either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from enum import StrEnum

from runner.journey.scenario import (
    Expected,
    ExpectedCompletion,
    ExpectedExit,
    ExpectedPassing,
    ExpectedSend,
    Never,
    Scenario,
)
from runner.journey.shown import printable
from runner.review.happenings import COMPARED, RESTARTED, SHOWN, Happening, Kind


class Mark(StrEnum):
    """What a row of the comparison says; the value is the sign in front of it."""

    FINE = "ok"
    WRONG = "✗"
    CONTEXT = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """An expectation beside what happened; either may be empty. ``why`` says what is wrong with it."""

    mark: Mark
    at: datetime | None
    expected: str = ""
    happened: str = ""
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A step that chose a way, with the source of the expression that decided and the values that it read."""

    at: datetime
    step: str
    outcome: str
    source: str
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    rows: tuple[Row, ...] = ()
    decisions: tuple[Decision, ...] = field(default=())

    @property
    def passed(self) -> bool:
        return all(row.mark is not Mark.WRONG for row in self.rows)


def compare(scenario: Scenario, happened: Sequence[Happening]) -> Comparison:
    """The expectations of ``scenario`` beside what ``happened``, which is in order of time.

    Of the journey under test every message, exit and end up to ``scenario.strict_until`` has to be expected,
    at its very instant; a completed or restarted run need not be, unless nothing at all is expected. At one
    instant any order is right.
    """
    passed = {wanted.step for wanted in scenario.expected if isinstance(wanted, ExpectedPassing)}
    own = [
        item
        for item in happened
        if item.journey == scenario.journey
        if item.kind in COMPARED or (item.kind is Kind.LEFT and item.name in passed)
    ]
    place = {id(item): index for index, item in enumerate(happened)}
    placed: list[tuple[datetime, int, Row]] = []
    for wanted, item in _aligned(_in_their_order(scenario.expected, own), own):
        row = _row(scenario, wanted, item)
        # What did not happen stands behind what did at its instant.
        at = row.at or (placed[-1][0] if placed else scenario.start)
        placed.append((at, place[id(item)] if item else len(happened), row))
    for index, item in enumerate(happened):
        if item.kind in SHOWN and not (item.journey == scenario.journey and item.kind in COMPARED):
            text = str(item) if item.journey in ("", scenario.journey) else f"{item} ({item.journey})"
            placed.append((item.at, index, Row(mark=Mark.CONTEXT, at=item.at, happened=text)))
    placed.sort(key=lambda entry: entry[:2])
    never = (_never_row(scenario, never, happened) for never in scenario.never)
    return Comparison(rows=(*(row for *_, row in placed), *never))


def compare_everybody(scenario: Scenario, happened: Mapping[str, Sequence[Happening]]) -> Comparison:
    """What happened to each person of ``scenario``, by id, beside what was expected of them; the rows of the others
    name them."""
    first = compare(scenario, happened[scenario.person.id])
    if not scenario.others:
        return first
    rows = list(first.rows)
    for other in scenario.others:
        who = other.person.id
        rows += [
            replace(
                row,
                expected=f"{who}: {row.expected}" if row.expected else "",
                happened=f"{who}: {row.happened}" if row.happened else "",
            )
            for row in compare(other, happened[who]).rows
        ]
    return Comparison(rows=tuple(sorted(rows, key=lambda row: (row.at is None, row.at or scenario.start))))


def _row(scenario: Scenario, wanted: Expected | None, item: Happening | None) -> Row:
    if wanted is None:
        assert item is not None
        return _unexpected(scenario, item)
    if item is None:
        return Row(mark=Mark.WRONG, at=wanted.at, expected=expectation_text(wanted), why="did not happen")
    why = "; ".join(_differences(scenario, wanted, item))
    return Row(
        mark=Mark.WRONG if why else Mark.FINE,
        at=item.at,
        expected=expectation_text(wanted),
        happened=str(item),
        why=why,
    )


def _unexpected(scenario: Scenario, item: Happening) -> Row:
    quiet = item.kind in (Kind.COMPLETED, Kind.LEFT) or (item.kind is Kind.EXITED and item.name == RESTARTED)
    free = scenario.only_never or item.at > scenario.strict_until
    if item.kind is not Kind.SET_ASIDE and not scenario.expects_nothing and (quiet or free):
        return Row(mark=Mark.CONTEXT, at=item.at, happened=str(item))
    why = "nothing may happen" if scenario.expects_nothing else "is not expected"
    if item.kind is Kind.BLOCKED and not scenario.expects_nothing:
        moment = offset_text(item.at - scenario.start)
        why += f"; write {{at: {moment}, send: {item.name}, blocked: {item.detail}}}"
    if item.kind is Kind.WITHHELD and not scenario.expects_nothing:
        moment = offset_text(item.at - scenario.start)
        why += f"; write {{at: {moment}, send: {item.name}, withheld: {item.detail}}}"
    if item.kind is Kind.BLOCKED and item.detail == "no_consent" and not scenario.person.consents:
        why += "; or is the contact's `consents:` missing?"
    return Row(mark=Mark.WRONG, at=item.at, happened=str(item), why=why)


def _never_row(scenario: Scenario, never: Never, happened: Sequence[Happening]) -> Row:
    reached = [
        item
        for item in happened
        if item.journey == scenario.journey
        and item.name == never.step
        and item.kind in (Kind.SENT, Kind.WITHHELD, Kind.LEFT, Kind.STANDS)
    ]
    text = f"never {never.step}"
    if not reached:
        return Row(mark=Mark.FINE, at=None, expected=text)
    first = reached[0]
    return Row(
        mark=Mark.WRONG,
        at=first.at,
        expected=text,
        happened=str(first),
        why=f"was reached at {offset_text(first.at - scenario.start)}",
    )


def _same(wanted: Expected, item: Happening) -> bool:
    """Whether ``item`` is what ``wanted`` speaks of, if perhaps not as it was expected."""
    match wanted:
        case ExpectedSend():
            return item.kind in (Kind.SENT, Kind.WITHHELD, Kind.BLOCKED) and item.name == wanted.step
        case ExpectedExit():
            return item.kind is Kind.EXITED and item.name == wanted.reason
        case ExpectedCompletion():
            return item.kind is Kind.COMPLETED
        case ExpectedPassing():
            return item.kind is Kind.LEFT and item.name == wanted.step
    return False


def _differences(scenario: Scenario, wanted: Expected, item: Happening) -> list[str]:
    """What is not as expected about ``item``, each as a sentence; empty where all is."""
    found = []
    if wanted.at is not None and wanted.at != item.at:
        due, came = offset_text(wanted.at - scenario.start), offset_text(item.at - scenario.start)
        found.append(f"expected at {due}, happened at {came}")
    if isinstance(wanted, ExpectedPassing) and wanted.way not in (None, item.detail):
        found.append(f"went the way {item.detail}")
    if not isinstance(wanted, ExpectedSend):
        return found
    if wanted.channel is not None and wanted.channel != item.channel:
        found.append(f"expected by {wanted.channel}, went by {item.channel}")
    if item.kind is Kind.BLOCKED and wanted.blocked != item.detail:
        found.append(f"was blocked: {item.detail}")
        if item.detail == "no_consent" and not scenario.person.consents:
            found.append("the contact has no `consents:`")
    if item.kind is not Kind.BLOCKED and wanted.blocked is not None:
        found.append("was not blocked")
    if item.kind is Kind.WITHHELD and wanted.withheld != item.detail:
        found.append(f"was withheld: {item.detail}")
    if item.kind is not Kind.WITHHELD and wanted.withheld is not None:
        found.append("was not withheld")
    if wanted.template is not None and item.kind is not Kind.BLOCKED and wanted.template != item.template:
        found.append(f"was written by the template {item.template or item.name}")
    if item.trouble is not None:
        found.append(item.trouble)
    elif item.kind is Kind.SENT:
        found.extend(
            f'the subject does not contain "{part}"; it is "{item.subject or ""}"'
            for part in wanted.subject_contains
            if part not in (item.subject or "")
        )
        found.extend(
            f'the text does not contain "{part}"; {_nearest(part, item.text or "")}'
            for part in wanted.text_contains
            if part not in (item.text or "")
        )
        names = ", ".join(each.partition("\n")[0] for each in item.attached) or "none"
        found.extend(
            f'no file that goes along contains "{part}"; there is {names}'
            for part in wanted.attached_contains
            if not any(part in each for each in item.attached)
        )
    return found


MOST_LINES = 2_000
"""Lines of a text that are looked at for the one that comes nearest."""
LONGEST_LINE = 200


def _nearest(part: str, text: str) -> str:
    """The line of ``text`` that comes nearest to ``part``, as half a sentence."""
    lines = [line for each in text.splitlines() if (line := each.strip())][:MOST_LINES]
    if not lines:
        return "it is empty"
    matcher = SequenceMatcher(b=part.lower(), autojunk=False)

    def likeness(line: str) -> float:
        """How much of ``part`` the line holds, of equal lines the shorter one."""
        matcher.set_seq1(line[:LONGEST_LINE].lower())
        shared = sum(block.size for block in matcher.get_matching_blocks() if block.size > 1)
        return shared + matcher.ratio()

    nearest = max(lines, key=likeness)
    shown = nearest if len(nearest) <= LONGEST_LINE else f"{nearest[:LONGEST_LINE]}…"
    return f'the nearest line is "{shown}"'


def _in_their_order(expected: Sequence[Expected], happened: Sequence[Happening]) -> list[Expected]:
    """``expected`` with what is named for one instant in the order in which it happened at that instant."""

    def place(wanted: Expected) -> int:
        found = (index for index, item in enumerate(happened) if item.at == wanted.at and _same(wanted, item))
        return next(found, len(happened))

    ordered: list[Expected] = []
    group: list[Expected] = []
    for wanted in expected:
        if group and (wanted.at is None or wanted.at != group[-1].at):
            ordered += sorted(group, key=place)
            group = []
        group.append(wanted)
    return ordered + sorted(group, key=place)


MISSED = 3
"""The cost of leaving an expectation or a happening without its counterpart; a difference inside a pair costs
less.
"""


def _aligned(
    expected: Sequence[Expected], happened: Sequence[Happening]
) -> list[tuple[Expected | None, Happening | None]]:
    """Both lists in order, paired so that as much as possible fits (the least edit distance)."""
    rows, columns = len(expected), len(happened)
    cost = [[(row + column) * MISSED for column in range(columns + 1)] for row in range(rows + 1)]
    for row in range(1, rows + 1):
        for column in range(1, columns + 1):
            cost[row][column] = min(
                cost[row - 1][column] + MISSED,
                cost[row][column - 1] + MISSED,
                cost[row - 1][column - 1] + _distance(expected[row - 1], happened[column - 1]),
            )
    pairs: list[tuple[Expected | None, Happening | None]] = []
    row, column = rows, columns
    while row or column:
        here = cost[row][column]
        if (
            row
            and column
            and here == cost[row - 1][column - 1] + _distance(expected[row - 1], happened[column - 1])
        ):
            row, column = row - 1, column - 1
            pairs.append((expected[row], happened[column]))
        elif column and here == cost[row][column - 1] + MISSED:
            column -= 1
            pairs.append((None, happened[column]))
        else:
            row -= 1
            pairs.append((expected[row], None))
    return pairs[::-1]


def _distance(wanted: Expected, item: Happening) -> int:
    """How badly a pair fits: 0 at its instant, 1 at another, 2 more where it was blocked unexpectedly."""
    if not _same(wanted, item):
        return 2 * MISSED + 1
    late = wanted.at is not None and wanted.at != item.at
    blocked = item.detail if item.kind is Kind.BLOCKED else None
    return late + 2 * (isinstance(wanted, ExpectedSend) and wanted.blocked != blocked)


def offset_text(offset: timedelta) -> str:
    """A time after the start as authors write it: ``2d4h``, ``0m``, ``-30d``; a day is 24 hours."""
    sign = "-" if offset < timedelta() else ""
    length = abs(offset)
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(length.days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    text = "".join(f"{number}{unit}" for number, unit in parts if number)
    if length.microseconds:
        text += f"{length.microseconds}µs"
    return sign + text if text else "0m"


def expectation_text(wanted: Expected) -> str:
    """An expectation as a short line."""
    match wanted:
        case ExpectedExit():
            return f"exit {wanted.reason}"
        case ExpectedCompletion():
            return "completed"
        case ExpectedPassing():
            return f"passes {wanted.step}" + (f", the way {wanted.way}" if wanted.way else "")
    channel = f" by {wanted.channel}" if wanted.channel else ""
    blocked = f", blocked: {wanted.blocked}" if wanted.blocked else ""
    subject = "".join(f', subject has "{part}"' for part in wanted.subject_contains)
    text = "".join(f', text has "{part}"' for part in wanted.text_contains)
    attached = "".join(f', a file has "{part}"' for part in wanted.attached_contains)
    withheld = f", withheld: {wanted.withheld}" if wanted.withheld else ""
    template = f", template {wanted.template}" if wanted.template else ""
    return f"send {wanted.step}{channel}{blocked}{withheld}{template}{subject}{text}{attached}"


def comparison_text(scenario: Scenario, comparison: Comparison) -> str:
    """Both timelines side by side, then what decided. Local times are those of the contact. Ends without a
    line break.
    """
    cells = [
        (
            row.mark.value,
            "" if row.at is None else offset_text(row.at - scenario.start),
            "" if row.at is None else f"{row.at.astimezone(scenario.zone):%a %Y-%m-%d %H:%M}",
            row.expected,
            row.happened,
        )
        for row in comparison.rows
    ]
    head = ("", "at", "local time", "expected", "happened")
    table = [[printable(each) for each in line] for line in (head, *cells)]
    widths = [max(len(line[column]) for line in table) for column in range(4)]
    lines: list[str] = []
    for index, line in enumerate(table):
        padded = "  ".join(cell.ljust(width) for cell, width in zip(line, (*widths, 0), strict=True))
        lines.append(padded.rstrip())
        if index and comparison.rows[index - 1].why:
            lines.append(f"{' ' * (widths[0] + 2)}↳ {printable(comparison.rows[index - 1].why)}")
    if comparison.decisions:
        lines += ["", "what decided"]
    for decision in comparison.decisions:
        moment = offset_text(decision.at - scenario.start)
        lines.append(f"  {moment}  {decision.step}: {decision.source} → {printable(decision.outcome)}")
        lines += [f"      {name} = {printable(value)}" for name, value in decision.values]
    return "\n".join(lines)
