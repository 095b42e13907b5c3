"""Steps are renamed in one version after the other: what they were called is known for good, whatever becomes of the
entries of ``moved`` that said so."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from runner.engine.presses import Pressed, press
from runner.insight.results import read_results
from runner.insight.status import read_status
from runner.journey.model import Journey
from runner.journey.project import load_project
from runner.journey.renames import Renames, leading_to, renames_with, reused
from runner.problem import ProblemsFound
from runner.review.plan import plan
from runner.review.plan_report import plan_text
from runner.store.database import Database
from runner.store.tables import journey, rate_use, run
from runner.store.types import to_microseconds
from tests.followed import DAY, HOUR, Tour, files, sends, wait
from tests.shop import START

FOLLOW = "in_flight: follow\n"
PAUSE = wait("pause", "2d")


def made(*names: str, moved: str = "", waits: tuple[str, ...] = ()) -> Journey:
    """A journey of sends and waits."""
    steps = sends(*names) + "".join(wait(name, "1d") for name in waits)
    head = FOLLOW + (f"moved: {{{moved}}}\n" if moved else "")
    return load_project(files(steps, head)).journeys["tour"]


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([made("a"), made("b", moved="a: b"), made("c", moved="b: c")], {"a": "c", "b": "c"}),
        ([made("a"), made("b", moved="a: b"), made("b"), made("c", moved="b: c")], {"a": "c", "b": "c"}),
        ([made("a"), made("b", moved="a: b"), made("a")], {"b": "a"}),
        ([made("a"), made("b", moved="a: b"), made("a", moved="b: a")], {"b": "a"}),
        ([made("a"), made("b", moved="a: b"), made("c", moved="b: c"), made("a")], {"b": "a", "c": "a"}),
        ([made("a"), made("b", moved="a: b"), made("x"), made("b", "x")], {"a": "b"}),
        ([made("a"), made("b"), made("b", moved="a: b"), made("b")], {"a": "b"}),
        ([made("a", "b"), made("b", moved="a: b"), made("b")], {}),
        ([made("a", "b"), made("b", moved="a: b"), made("b", moved="a: b"), made("a", "b")], {}),
        ([made("a", "b"), made("b", moved="a: b"), made("c", moved="a: b, b: c")], {"b": "c"}),
        ([made("a"), made("b", moved="a: b", waits=("a",)), made("b", waits=("a",))], {"a": "b"}),
    ],
    ids=["twice", "taken-out", "put-back", "back-by-name", "back-over-two", "gone-and-back", "said-later", "one-of-two",
         "one-of-two-for-long", "one-of-two-renamed", "name-of-a-wait"],
)  # fmt: skip
def test_what_steps_were_called(versions: list[Journey], expected: Renames) -> None:
    renames: Renames | None = {}
    before = None
    for each in versions:
        assert not list(reused(renames or {}, before, each))
        renames = renames_with(renames, before, each)
        before = each
    assert before is not None
    assert renames is not None
    kinds = {step.id: type(step.verb) for step in before.steps}
    assert leading_to(renames, kinds) == expected


def test_what_was_said_before_names_were_kept_counts() -> None:
    kept = renames_with(None, made("b", moved="a: b"), made("b", "x"))
    assert kept == {"a": "b"}


def test_an_entry_may_go_once_it_was_applied(database: Database) -> None:
    """Ana had ``hello`` before it became ``greet`` and then ``welcome``, and comes to it once more."""
    tour = Tour(database, sends("hello") + PAUSE)
    tour.enter("ana")
    tour.change(sends("greet") + PAUSE, START + HOUR, FOLLOW + "moved: {hello: greet}")
    tour.enter("ben", at=START + 2 * HOUR)
    asks = "  - {id: asked, condition: 'sent(\"welcome\")'}\n"
    again = PAUSE + sends("welcome") + asks + wait("rest", "1d") + sends("last")
    tour.change(again, START + 3 * HOUR, FOLLOW + "moved: {greet: welcome}")
    tour.enter("cleo", at=START + 4 * HOUR)
    tour.change(again + wait("end", "1d"), START + 5 * HOUR)
    tour.until(START + 9 * DAY)
    assert [tour.got(who) for who in ("ana", "ben", "cleo")] == [
        [("hello", 0), ("last", 72)],
        [("greet", 2), ("last", 74)],
        [("welcome", 52), ("last", 76)],
    ]


def test_a_plan_says_whom_an_entry_concerns_that_leaves_the_file(sqlite_database: Database) -> None:
    """Of a rename that was applied nobody; of a step that stood beside, those who stand there still."""
    tour = Tour(sqlite_database, wait("hello", "1d") + wait("greet", "1d"))
    told = []
    for nth, (was, id) in enumerate([("hello", "greet"), ("greet", "rest")], 1):
        tour.change(wait(id, "1d"), START + nth * HOUR, FOLLOW + f"moved: {{{was}: {id}}}")
        found = plan(sqlite_database, load_project(files(wait(id, "1d"), FOLLOW)), now=START + nth * HOUR)
        told.append([line.strip() for line in plan_text(found).splitlines() if "~" in line or "same" in line])
    assert told == [
        ["~ moved  {hello: greet} (gone)"],
        [
            "~ moved  {greet: rest} (gone)",
            "~ moved  nobody is affected: renames that were applied are kept",
        ],
    ]


def test_what_was_counted_goes_with_its_step(database: Database) -> None:
    """Ana has the message by its first name and, in a second run, by its third: two messages, one contact."""
    tour = Tour(database, sends("hello") + PAUSE)
    tour.enter("ana")
    tour.change(sends("greet") + PAUSE, START + HOUR, "moved: {hello: greet}")
    tour.enter("ben", at=START + 2 * HOUR)
    tour.change(
        sends("welcome") + wait("rest", "2d"), START + 3 * HOUR, "moved: {greet: welcome, pause: rest}"
    )
    last = files(sends("welcome") + wait("rest", "3d"))
    tour.change_to(last, START + 4 * HOUR)
    tour.enter("cleo", at=START + 5 * HOUR)
    tour.until(START + 40 * HOUR)
    (one,) = read_status(database).journeys
    assert [(each.step, each.people) for each in one.numbers.standing] == [("rest", 3)]
    tour.until(START + 3 * DAY)
    tour.enter("ana", at=START + 4 * DAY)
    (one,) = read_status(database).journeys
    assert [(each.step, each.let_go, each.contacts) for each in one.numbers.messages] == [("welcome", 4, 3)]
    (found,) = read_results(database, load_project(last)).journeys
    assert [(each.message, sum(each.states.values())) for each in found.results] == [("welcome", 4)]


def test_who_stands_at_a_step_that_was_renamed_long_ago_goes_where_it_is_now(
    sqlite_database: Database,
) -> None:
    tour = Tour(sqlite_database, PAUSE + sends("last"))
    tour.enter("ana")
    # Nobody follows: ana stays, and the entry is for later.
    rest = wait("rest", "2d") + sends("last")
    tour.change(rest, START + HOUR, "moved: {pause: rest}")
    assert tour.where()[0] == "pause"
    crossed = tour.change(rest + sends("more"), START + 2 * HOUR)
    assert (crossed.moved, tour.where()[0]) == (1, "rest")


def test_an_earlier_version_is_taken_up_again(database: Database) -> None:
    """Whoever had the message under its later name does not get it under the earlier one."""
    first = PAUSE + sends("hello") + wait("rest", "3d")
    tour = Tour(database, first, FOLLOW)
    tour.change(sends("greet") + PAUSE + wait("rest", "3d"), START, FOLLOW + "moved: {hello: greet}")
    tour.enter("ana")
    tour.change(first, START + HOUR)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("greet", 0)]


def test_a_name_that_a_step_had_is_no_other_ones(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, sends("hello") + PAUSE)
    tour.enter("ana")
    tour.change(sends("greet") + PAUSE, START + HOUR, FOLLOW + "moved: {hello: greet}")
    with pytest.raises(ProblemsFound) as refused:
        tour.change(sends("hello", "greet") + PAUSE, START + HOUR)
    (problem,) = refused.value.problems
    assert (problem.code, problem.message) == (
        "in-flight/taken",
        "`hello` was what `greet` of `tour` was called before: people who have passed it are known by that name.",
    )
    tour.change(sends("hullo", "greet") + PAUSE, START + HOUR)


def test_of_two_that_stood_side_by_side_each_is_its_own(sqlite_database: Database) -> None:
    """Who stands at a message that is taken out may go on at another; who has had it still gets the other, and going
    back to the version with both is not refused."""
    both = sends("offer") + PAUSE + sends("hello")
    tour = Tour(sqlite_database, both, FOLLOW)
    tour.enter("ana", "ben")
    tour.change(PAUSE + sends("hello"), START + HOUR, FOLLOW + "moved: {offer: hello}")
    tour.change(both, START + 2 * HOUR)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("offer", 0), ("hello", 48)]


def test_places_of_a_rate_outlive_the_name_of_the_send(database: Database) -> None:
    def limited(name: str) -> str:
        text = "template: hello, valid_for: 9d, rate: {max: 1, per: 1d}"
        return sends(name).replace("template: hello", text)

    tour = Tour(database, limited("hello") + wait("end", "9d"), FOLLOW)
    tour.enter("ana", "ben")
    tour.change(limited("greet") + wait("end", "9d"), START + HOUR, FOLLOW + "moved: {hello: greet}")
    tour.enter("cleo", at=START + 2 * HOUR)
    tour.change(limited("welcome") + wait("end", "9d"), START + 3 * HOUR, FOLLOW + "moved: {greet: welcome}")
    tour.enter("dora", at=START + 4 * HOUR)
    tour.until(START + 5 * DAY)
    got = sorted(hours for who in ("ana", "ben", "cleo", "dora") for _, hours in tour.got(who))
    assert got == [0, 24, 48, 72]
    with database.read() as connection:
        used = connection.execute(select(rate_use.c.step, rate_use.c.at).where(rate_use.c.used > 0)).all()
    assert {step for step, _ in used} == {"welcome"}
    assert len({to_microseconds(at) for _, at in used}) == 4


@pytest.mark.parametrize("ends", ["greet", "welcome"])
def test_two_versions_share_the_places_of_a_rate_though_they_call_the_send_otherwise(
    database: Database, ends: str
) -> None:
    """Those in the older ones finish them; the last rename, where there is one, goes without a word about the first."""

    def limited(name: str) -> str:
        text = "template: hello, valid_for: 9d, rate: {max: 1, per: 1d}"
        return sends(name).replace("template: hello", text)

    tour = Tour(database, limited("hello") + wait("end", "9d"), "")
    tour.enter("ana", "ben", "cleo")
    tour.change(limited("greet") + wait("end", "9d"), START + HOUR, "moved: {hello: greet}")
    if ends == "welcome":
        tour.change(limited("welcome") + wait("end", "9d"), START + HOUR, "moved: {greet: welcome}")
    tour.enter("dora", at=START + 2 * HOUR)
    tour.until(START + 6 * DAY)
    assert [tour.got(who) for who in ("ana", "ben", "cleo", "dora")] == [
        [("hello", 0)],
        [("hello", 24)],
        [("hello", 48)],
        [(ends, 72)],
    ]


LINKED = "links: {stop: {exit: stopped}, later: {snooze: [3d]}, seen: {ask: {run.said: {type: date}}}}\n"


def pressed(tour: Tour, link: str, hours: int, **more: object) -> Pressed:
    at = START + hours * HOUR
    tour.until(at)
    answer = press(tour.database, tour.versions, contact="ana", journey="tour", link=link, at=at, **more)  # type: ignore[arg-type]
    tour.until(at)
    return answer


def test_a_link_acts_as_the_version_says_that_wrote_it(database: Database) -> None:
    """Two versions later, with other links or none: the mail still shows its buttons."""
    tour = Tour(database, sends("hello") + wait("end", "20d"), LINKED)
    tour.enter("ana")
    tour.change(sends("greet") + wait("end", "20d"), START + HOUR, FOLLOW + "moved: {hello: greet}")
    other = "links: {stop: {emit: Left}}\n"
    tour.change(sends("greet") + wait("end", "20d"), START + 2 * HOUR, FOLLOW + other)
    assert pressed(tour, "seen", 3, values={"said": "2026-03-09"}) is Pressed.DONE
    assert tour.data() == {"said": "2026-03-09"}
    # The run is put back before the message of that time, which is called otherwise now.
    assert pressed(tour, "later", 4, option="3d") is Pressed.DONE
    assert tour.where() == ("greet", None, 76)
    tour.until(START + 4 * DAY)
    assert tour.got() == [("hello", 0), ("greet", 76)]
    assert pressed(tour, "stop", 100, step="hello", visit=1) is Pressed.DONE
    assert tour.where()[1] == "stopped"


def test_a_reader_who_was_put_back_comes_to_a_version_without_the_link(database: Database) -> None:
    steps = sends("hello") + wait("end", "20d")
    tour = Tour(database, steps, LINKED)
    tour.enter("ana")
    assert pressed(tour, "later", 1, option="3d") is Pressed.DONE
    tour.change(steps, START + 2 * HOUR)
    tour.until(START + 9 * DAY)
    assert tour.got() == [("hello", 0), ("hello", 73)]
    with database.read() as connection:
        assert connection.execute(select(run.c.visit)).scalar_one() == 2


def test_names_are_kept_with_the_journey(sqlite_database: Database) -> None:
    tour = Tour(sqlite_database, sends("hello") + PAUSE)
    tour.change(sends("greet") + PAUSE, START, FOLLOW + "moved: {hello: greet}")
    with sqlite_database.read() as connection:
        assert connection.execute(select(journey.c.renames)).scalar_one() == {"hello": "greet"}


def refused(tour: Tour, steps: str, hours: int, moved: str) -> list[tuple[str, str, int, int]]:
    """What ``apply`` says of an entry of ``moved``: the code, and the text, the line and the column where it stands."""
    with pytest.raises(ProblemsFound) as raised:
        tour.change(steps, START + hours * HOUR, FOLLOW + f"moved: {{{moved}}}")
    written = files(steps, FOLLOW + f"moved: {{{moved}}}")
    return [
        (
            each.code,
            written[each.span.file].splitlines()[each.span.line - 1][each.span.column - 1 :][
                : each.span.length
            ],
            each.span.line,
            each.span.column,
        )
        for each in raised.value.problems
    ]


def test_an_entry_is_about_a_step_that_was_there(sqlite_database: Database) -> None:
    """Lately or long ago, as a send then, whatever it was since; and nothing is kept of one that is refused."""
    tour = Tour(sqlite_database, sends("hello", "offer") + PAUSE + wait("end", "9d"))
    tour.change(sends("hello") + wait("offer", "1h") + PAUSE + wait("end", "9d"), START + HOUR)
    rest = PAUSE + wait("end", "9d")
    tour.change(sends("hello") + rest, START + 2 * HOUR)
    greet = sends("greet") + rest
    assert refused(tour, greet, 3, "helo: greet") == [("in-flight/never-there", "helo", 8, 9)]
    assert refused(tour, greet, 3, "helo: {exit: gone}") == [("in-flight/never-there", "helo", 8, 9)]
    assert refused(tour, greet, 3, "helo: hallo, hallo: greet") == [("in-flight/never-there", "helo", 8, 9)]
    assert refused(tour, greet, 3, "hello: pause") == [("in-flight/other-kind", "hello", 8, 9)]
    tour.change(greet, START + 3 * HOUR, FOLLOW + "moved: {hello: hallo, hallo: greet, offer: greet}")
    # What was said may be said for as long as anybody likes, and by way of what came after it.
    tour.change(sends("welcome") + rest, START + 4 * HOUR, FOLLOW + "moved: {hello: greet, greet: welcome}")
    with sqlite_database.read() as connection:
        kept = connection.execute(select(journey.c.renames)).scalar_one()
    assert kept == {"hello": "welcome", "hallo": "greet", "offer": "greet", "greet": "welcome"}


def test_entries_of_a_journey_that_was_never_applied_are_warned_of(sqlite_database: Database) -> None:
    """It may have been applied elsewhere, so they keep it from nothing, then or later; and no rename is kept."""
    head = FOLLOW + "moved: {hello: greet, old: {exit: gone}}"
    project = load_project(files(sends("greet") + PAUSE, head))
    for database in (None, sqlite_database):
        found = plan(database, project, now=START)
        assert (found.problems, [each.code for each in found.warnings]) == (
            (),
            ["in-flight/nothing-moved", "in-flight/nothing-moved"],
        )
    tour = Tour(sqlite_database, sends("greet") + PAUSE, head)
    tour.change(sends("greet", "more") + PAUSE, START + HOUR, head)
    with sqlite_database.read() as connection:
        assert connection.execute(select(journey.c.renames)).scalar_one() == {}
