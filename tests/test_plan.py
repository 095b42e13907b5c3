"""``journeys plan`` says what applying would do, and changes nothing."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from golden import golden
from in_flight import CATALOG, START, Flight, project_of
from sqlalchemy import func, select, text

from runner.cli import run as journeys
from runner.clock import utc_now
from runner.engine.apply import apply_project
from runner.engine.pausing import pause_journey
from runner.journey.graph import compile_program
from runner.journey.lasting import Bounded, Unbounded, lasting
from runner.journey.project import Project, load_project
from runner.review.plan import plan
from runner.review.plan_report import plan_json, plan_text
from runner.review.planned import Change, Going, Plan
from runner.settings import default_database
from runner.store import tables
from runner.store.database import Database
from runner.store.engines import engine_of
from tests.written import write_files

DAY = timedelta(days=1)
HEAD = "journey: tour\nlanguage: 1\ntitle: A tour\ntopic: offers\ntrigger: {event: Signed Up}\n"
STEPS = """steps:
  - {id: hello, send: email}
  - {id: pause, wait: 4d}
  - id: bought
    wait: {event: Bought, up_to: 3d, then: [{id: thanks, send: email}]}
  - {id: offer, send: email}
"""
VIP = "journey: vip\nlanguage: 1\ntitle: For the best\ntopic: offers\nexisting: skip\n"
VIP += "trigger: {segment: best, change: enter}\nsteps:\n  - {id: rest, wait: 1d}\n"


def tour(steps: str = STEPS, head: str = "") -> Project:
    return project_of({"journey.yaml": HEAD + head + steps})


def with_people(database: Database, project: Project | None = None) -> Flight:
    """Ana has paused for a day, ben for three, and cleo is waited for to buy."""
    flight = Flight(database)
    flight.apply(project or tour(), START - DAY, "BEFORE")
    flight.known("ana", "ben", "cleo")
    for who, day in (("cleo", 0), ("ben", 2), ("ana", 4)):
        flight.happens(who, "Signed Up", START + day * DAY, {})
    flight.until(START + 5 * DAY)
    return flight


def planned(database: Database, project: Project) -> Plan:
    return plan(database, project, now=START + 5 * DAY)


def rows(database: Database) -> Mapping[str, list[object]]:
    """All that the database holds."""
    with database.read() as connection:
        return {
            name: [tuple(row) for row in connection.execute(select(table))]
            for name, table in tables.metadata.tables.items()
        }


@pytest.mark.parametrize(
    "head",
    ["", "in_flight: follow\ntimers: recompute\n", "retired: exit\n"],
    ids=["finish", "follow", "retired"],
)
def test_a_plan_changes_nothing(database: Database, head: str) -> None:
    flight = with_people(database)
    before = rows(database)
    found = planned(database, tour(STEPS.replace("4d", "1d"), head))
    assert found.changes
    assert rows(database) == before
    flight.until(START + 5 * DAY)


def test_what_is_new_unchanged_changed_and_removed_is_told(sqlite_database: Database) -> None:
    found = planned(sqlite_database, tour())
    assert [(one.journey, one.change, one.versions) for one in found.journeys] == [("tour", Change.NEW, ())]
    assert plan(None, tour(), now=START).journeys == found.journeys
    with_people(sqlite_database)
    found = planned(sqlite_database, tour("# a remark\n" + STEPS))
    assert [(one.journey, one.change) for one in found.journeys] == [("tour", Change.UNCHANGED)]
    assert not found.changes
    found = planned(sqlite_database, load_project({"journeys/catalog.yaml": CATALOG}))
    assert [(one.journey, one.change) for one in found.journeys] == [("tour", Change.REMOVED)]
    assert [problem.code for problem in found.problems] == ["journey/gone"]
    assert [each.people for each in found.journeys[0].versions] == [3]


def test_a_new_journey_is_introduced(database: Database) -> None:
    """Who enters it and when for the first time, how many have its date, and what it does."""
    files = dict(tour().files)
    files["journeys/catalog.yaml"] = CATALOG.replace("attributes: {", "attributes: {born: {type: date}, ")
    flight = with_people(database, load_project(files))
    flight.happens("ana", "identify", START + 5 * DAY, {"born": "1990-05-04"})
    flight.until(START + 5 * DAY)
    message = "---\nsubject: Hi\n---\n<p>Hi</p>\n"
    for name, trigger in (
        ("dates", "{date: contact.born, every: year}"),
        ("everywhere", '{schedule: "0 9 * * MON", timezone: contact}'),
        ("mondays", '{schedule: "0 9 * * MON", timezone: Asia/Tbilisi}'),
    ):
        text = f"journey: {name}\nlanguage: 1\ntitle: T\ntopic: offers\ntrigger: {trigger}\n" + STEPS
        files[f"journeys/{name}/journey.yaml"] = text
        for each in ("hello", "hello.ka", "thanks", "offer"):
            files[f"journeys/{name}/{each}.html"] = message
    found = planned(database, load_project(files))
    assert not found.problems, found.problems
    golden("plan/new.out", re.sub(r"[0-9a-f]{12}", "…", plan_text(replace(found, warnings=()))) + "\n")
    told = json.loads(plan_json(found, database="sqlite:////shop.db", found=True))["journeys"]
    assert {each["journey"]: each["introduction"] and each["introduction"]["dated"] for each in told} == {
        "dates": 1, "everywhere": None, "mondays": None, "tour": None,
    }  # fmt: skip
    without = plan(None, load_project(files), now=START)
    assert "every: year}\n" in plan_text(without)  # nobody knows of how many the date is known


def test_a_journey_that_was_retired_may_be_removed(sqlite_database: Database) -> None:
    flight = with_people(sqlite_database)
    flight.apply(tour(head="retired: finish\n"), START + 5 * DAY, "RETIRED")
    found = planned(sqlite_database, load_project({"journeys/catalog.yaml": CATALOG}))
    assert not found.problems
    assert not found.changes  # apply has nothing to do, now or ever
    assert plan_text(found).startswith("tour  removed")
    assert "3 people finish version" in plan_text(found)
    flight.until(START + 60 * DAY)
    found = planned(sqlite_database, load_project({"journeys/catalog.yaml": CATALOG}))
    assert plan_text(found) == "removed: tour\n\nNothing to apply."


def test_who_finishes_an_old_version_does_so_by_an_instant(database: Database) -> None:
    with_people(database)
    (found,) = planned(database, tour(STEPS.replace("4d", "1d"))).journeys
    (version,) = found.versions
    assert {each.step: (each.people, each.going) for each in version.steps} == {
        "pause": (2, Going.FINISHES),
        "bought": (1, Going.FINISHES),
    }
    # Ana's pause ends on day 8, and she may be waited for until day 11.
    assert version.until == START + 11 * DAY


@pytest.mark.parametrize(
    ("step", "bound"),
    [
        ("wait: 36h", timedelta(hours=36)),
        ("wait: 2d", timedelta(days=2, hours=1)),
        ('wait: {for: 1h, at: "09:00"}', timedelta(hours=26)),
        ('wait: {for: 1h, at: "09:00", days: [mon]}', timedelta(days=7, hours=2)),
        ("wait: {event: Bought, up_to: 5h}", timedelta(hours=5)),
        ("wait: {collect: Bought, for: 5h, save_as: them}", timedelta(hours=5)),
        ("wait: {when: contact.vip, up_to: 5h, then: [{id: more, wait: 1h}]}", timedelta(hours=6)),
        ("send: {channel: email, template: hello, valid_for: 3h}", timedelta(0)),
        (
            "send: {channel: email, template: hello, valid_for: 3h, rate: {max: 1, per: 1h}}",
            timedelta(hours=3),
        ),
        ("wait: {until: contact.born, if_past: continue, if_missing: continue}", "x"),
        ("wait: {event: Bought, up_to: {until: contact.born}}", "x"),
        (
            "branch: [{when: contact.vip, name: a, steps: [{id: y, wait: 9h}]}, {name: b, else: []}]",
            timedelta(hours=9),
        ),
    ],
)
def test_how_long_people_may_still_be_in_a_program(step: str, bound: timedelta | str) -> None:
    catalog = CATALOG.replace("name: {type: string}", "born: {type: date}")
    steps = f"steps:\n  - {{id: hello, send: email}}\n  - {{id: w, wait: 1h}}\n  - id: x\n    {step}\n"
    files = {"journeys/catalog.yaml": catalog, "journeys/tour/journey.yaml": HEAD + steps}
    project = load_project(files | {"journeys/tour/hello.html": "---\nsubject: Hi\n---\n<p>Hi</p>\n"})
    assert "tour" in project.journeys, project.problems
    program = compile_program(project.journeys["tour"])
    behind = lasting(program, lambda send: send.rate is not None, lambda _: None)[1]
    assert behind == (Unbounded(bound) if isinstance(bound, str) else Bounded(bound))


def test_a_reader_who_may_put_off_a_message_may_take_any_time(sqlite_database: Database) -> None:
    """The message that carries the link, not any other, and not one that is only written on a page of one's own."""

    def steered(steps: str, carrying: str) -> Project:
        files = dict(tour(steps, "links: {later: {snooze: [1d]}}\n").files)
        path = f"journeys/tour/{carrying}.html"
        files[path] = files[path].replace("</p>", " {{ links.later }}</p>")
        return load_project(files)

    # All have `hello` behind them.
    with_people(sqlite_database, steered(STEPS, "hello"))
    (version,) = planned(sqlite_database, steered(STEPS.replace("4d", "1d"), "hello")).journeys[0].versions
    assert version.until == START + 11 * DAY
    # They read the newest texts.
    found = planned(sqlite_database, steered(STEPS.replace("4d", "1d"), "thanks"))
    (version,) = found.journeys[0].versions
    assert (version.endless, version.put_off_by, version.until) == ("thanks", "later", None)
    assert "nobody can tell by when, for a reader may put `thanks` off by the link `later`" in plan_text(
        found
    )


def test_the_old_texts_are_named_to_which_people_may_still_come(sqlite_database: Database) -> None:
    with_people(sqlite_database)
    files = dict(tour(STEPS.replace("4d", "1d"), "content: pinned\n").files)
    for name in ("hello", "offer"):
        files[f"journeys/tour/{name}.html"] += "<p>Mended</p>\n"
    (version,) = planned(sqlite_database, load_project(files)).journeys[0].versions
    assert version.old_texts == {"offer": "the journey says `content: pinned`"}
    # What is said of the delivery of new messages is not said of theirs.
    found = planned(sqlite_database, tour(head="delivery: shadow\n"))
    assert "    `delivery: live` goes on for them, as their version says" in plan_text(found)
    assert "`delivery: live`" not in plan_text(planned(sqlite_database, tour(STEPS.replace("4d", "5d"))))


def planned_after(database: Database, before: Project, after: Project) -> Plan:
    with_people(database, before)
    return planned(database, after)


def test_people_whom_a_change_leaves_behind_are_named(sqlite_database: Database) -> None:
    after = tour(STEPS.replace("wait: 4d", "update: {run: {seen: true}}"), "in_flight: follow\n")
    found = planned_after(sqlite_database, tour(), after)
    assert [problem.code for problem in found.problems] == ["in-flight/left-behind"]
    assert "2 people stand at `pause`" in found.problems[0].message


def test_the_steps_are_named_that_a_move_leads_past(sqlite_database: Database) -> None:
    steps = STEPS.replace("pause", "rest") + "  - {id: calm, wait: 2d}\n"
    with_people(sqlite_database)
    found = planned(sqlite_database, tour(steps, "in_flight: follow\nmoved: {pause: calm}\n"))
    said = plan_text(found)
    assert "pause   2  moved to `calm`, skipping `bought`, `thanks` and `offer`\n" in said
    assert "bought  1  carried over\n" in said
    # Those who come to `calm` wait as long as they would have.
    assert (
        "waits of those at `calm` end when they would have ended, by 2026-03-09 00:00 UTC at the latest"
        in said
    )


def test_who_becomes_overdue_is_counted_and_when_the_last_goes_on(database: Database) -> None:
    with_people(database)
    after = tour(STEPS.replace("4d", "6h"), "in_flight: follow\ntimers: recompute\n")
    found = plan(database, after, now=START + 5 * DAY, released_per_minute=2)
    (one,) = found.journeys
    assert (one.overdue, one.released_until) == (2, START + 5 * DAY + timedelta(seconds=30))


@pytest.mark.parametrize("timers", ["keep", "recompute", "restart"])
def test_when_waits_end_before_and_after_is_told(database: Database, timers: str) -> None:
    """Also where nobody becomes overdue; and where they stay as they are, that they do."""
    with_people(database)
    found = planned(database, tour(STEPS.replace("4d", "6d"), f"in_flight: follow\ntimers: {timers}\n"))
    said = "\n".join(plan_text(found).splitlines()[1:]).replace(found.journeys[0].before[:12], "…")  # type: ignore[index]
    golden(f"plan/waits-{timers}.out", said + "\n")


@pytest.fixture
def reader(postgres_database: Database) -> Iterator[Database]:
    """The same database, as somebody finds it who may read it, and no more."""
    with postgres_database.engine.begin() as connection:
        schema = connection.execute(text("SELECT current_schema()")).scalar_one()
        role = f"{schema}_reader"
        connection.execute(text(f"CREATE ROLE {role} LOGIN"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {role}"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"))
    engine = engine_of(postgres_database.engine.url.set(username=role), schema=schema)
    try:
        yield Database(engine, postgres_database.deployment)
    finally:
        engine.dispose()
        with postgres_database.engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {role}"))
            connection.execute(text(f"DROP ROLE {role}"))


def test_whoever_may_only_read_gets_a_plan(postgres_database: Database, reader: Database) -> None:
    """All but what is found out by trying it, and is said not to be known."""
    with_people(postgres_database)
    for head in ("", "in_flight: follow\n"):
        after = tour(STEPS.replace("4d", "6h"), head)
        assert planned(reader, after) == planned(postgres_database, after)
    after = tour(STEPS.replace("4d", "6h"), "in_flight: follow\ntimers: recompute\n")
    assert planned(postgres_database, after).journeys[0].overdue == 2
    found = planned(reader, after)
    assert found.journeys[0].overdue is None
    assert "is not known: the user of the database may only read" in plan_text(found)


def test_all_journeys_are_released_by_one_count_in_a_plan_as_in_what_it_plans(database: Database) -> None:
    def two(steps: str, head: str = "") -> Project:
        files = tour(steps, head).files
        path = "journeys/tour/journey.yaml"
        other = {each.replace("tour", "visit"): text for each, text in files.items() if "tour" in each}
        other["journeys/visit/journey.yaml"] = files[path].replace("journey: tour", "journey: visit")
        return load_project({**files, **other})

    with_people(database)
    at = START + 5 * DAY
    apply_project(database, two(STEPS), now=START - DAY, author=None, git_commit=None)
    flight = Flight(database)
    flight.load()
    for who in ("elif", "finn"):
        flight.known(who)
        flight.happens(who, "Signed Up", START + 4 * DAY, {})
    flight.until(at)
    after = two(STEPS.replace("4d", "6h"), "in_flight: follow\ntimers: recompute\n")
    before = rows(database)
    found = plan(database, after, now=at, released_per_minute=2).journeys
    assert rows(database) == before
    applied = apply_project(database, after, now=at, author=None, git_commit=None, released_per_minute=2)
    said = [(each.journey, each.overdue, each.released_until) for each in found]
    assert said == [(each.journey, each.crossed.overdue, each.crossed.released_until) for each in applied]
    seconds = [(until - at).total_seconds() for _, _, until in said if until]
    assert [(name, overdue) for name, overdue, _ in said] == [("tour", 4), ("visit", 2)]
    assert seconds == [90, 150]
    # Another apply while they are on their way: nobody is let go in between.
    at += timedelta(seconds=40)
    flight.load()
    flight.until(at)
    after = two(STEPS.replace("4d", "5h"), "in_flight: follow\ntimers: recompute\n")
    found = plan(database, after, now=at, released_per_minute=2).journeys
    applied = apply_project(database, after, now=at, author=None, git_commit=None, released_per_minute=2)
    said = [(each.journey, each.overdue, each.released_until) for each in found]
    assert said == [(each.journey, each.crossed.overdue, each.crossed.released_until) for each in applied]
    with database.read() as connection:
        due = select(tables.run.c.due_at).where(tables.run.c.step == "pause").order_by(tables.run.c.due_at)
        instants = connection.execute(due).scalars().all()
    assert len(instants) == 4
    assert all(two - one >= timedelta(seconds=30) for one, two in pairwise([at - DAY, *instants]))


def test_a_rename_that_nobody_said_is_asked_about(database: Database) -> None:
    """By what the message says, else by its place; and not where nobody has had it, or all is said."""
    flight = with_people(database)
    flight.happens("dora", "Signed Up", START + 5 * DAY, {})
    hello, greet = "  - {id: hello, send: email}\n", "  - {id: greet, send: email}\n"

    def asked(what: str, steps: str, head: str = "") -> str:
        files = {"journey.yaml": HEAD + "in_flight: follow\n" + head + steps}
        if "with the text" in what:
            files["greet.html"] = "---\nsubject: hello\n---\n<p>hello</p>\n"
        found = planned(database, project_of(files))
        refused = [f"  apply refuses: {each.message} {each.hint}" for each in found.problems]
        asked_about = replace(found, problems=())
        lines = [*refused, *(line for line in plan_text(asked_about).splitlines() if "rename" in line)]
        return "\n".join([f"{what}:", *(lines or ["  (nothing)"])])

    later = STEPS.replace(hello, "").replace("  - {id: offer", greet + "  - {id: offer")
    cases = [
        asked("with the text of `hello`, before them again", later),
        asked("with the text of `hello`, in its place", STEPS.replace(hello, greet)),
        asked("with another text, in its place", STEPS.replace(hello, greet)),
        asked("with another text, elsewhere", later),
        asked("with the text of `hello`, and it is said", later, "moved: {hello: greet}\n"),
        asked("with the text of `hello`, and it is misspelt", later, "moved: {helo: greet}\n"),
        asked("with the text of `hello`, and another kind is said", later, "moved: {hello: pause}\n"),
        asked("with the text of `hello`, which is still there", STEPS.replace(hello, hello + greet)),
        asked("one that nobody has had", STEPS.replace("id: offer", "id: bargain")),
    ]
    golden("plan/unsaid-renames.out", "\n\n".join(cases) + "\n")


def segment(existing: str, when: str = "contact.vip") -> Project:
    catalog = CATALOG + f"segments: {{best: {{when: {when}}}}}\n"
    return load_project(
        {
            "journeys/catalog.yaml": catalog,
            "journeys/vip/journey.yaml": VIP.replace("existing: skip", f"existing: {existing}"),
        }
    )


def test_people_who_match_a_trigger_already_are_counted(database: Database) -> None:
    flight = with_people(database)
    for who in ("ana", "ben", "dora"):
        flight.happens(who, "identify", START + 5 * DAY, {"vip": who != "dora"})
    flight.until(START + 5 * DAY)
    for existing, enter in (("skip", False), ("enter", True)):
        found = [one for one in planned(database, segment(existing)).journeys if one.journey == "vip"]
        assert [(one.existing.people, one.existing.enter) for one in found if one.existing] == [(2, enter)]
    # Once they have entered they are no news.
    apply_project(database, with_both(segment("enter")), now=START + 5 * DAY, author=None, git_commit=None)
    flight.load()
    flight.until(START + 5 * DAY)
    with database.read() as connection:
        entered = select(func.count()).select_from(tables.run).where(tables.run.c.journey == "vip")
        assert connection.execute(entered).scalar_one() == 2
    changed = with_both(segment("enter"), lambda text: text.replace("wait: 1d", "wait: 2d"))
    (vip,) = [one for one in planned(database, changed).journeys if one.journey == "vip"]
    assert (vip.change, vip.existing) == (Change.CHANGED, None)
    # Nor is what the trigger said before; and who is in the journey enters it no more.
    for when, people in (("contact.vip", None), ("contact.vip is not None", 1)):
        found = planned(database, with_both(segment("skip", when))).journeys
        (existing_people,) = [one.existing for one in found if one.journey == "vip"]
        assert (existing_people.people if existing_people else None) == people


def with_both(project: Project, change: Callable[[str], str] = str) -> Project:
    """The tour beside the journeys of ``project``."""
    files = {path: change(text) for path, text in project.files.items() if path != "journeys/catalog.yaml"}
    mine = {path: text for path, text in tour().files.items() if path != "journeys/catalog.yaml"}
    return load_project({**mine, **files, "journeys/catalog.yaml": project.files["journeys/catalog.yaml"]})


def test_what_people_and_programs_read(sqlite_database: Database) -> None:
    flight = with_people(sqlite_database)
    flight.happens("ana", "identify", START + 5 * DAY, {"vip": True})
    flight.until(START + 5 * DAY)
    pause_journey(sqlite_database, "tour", now=START + 5 * DAY, who="tests")
    shorter = {"journeys/tour/journey.yaml": HEAD + STEPS.replace("4d", "1d")}
    found = planned(sqlite_database, load_project({**with_both(segment("skip")).files, **shorter}))
    hashes = [each for one in found.journeys for each in (one.before, one.after) if each]

    def named(text: str) -> str:
        for place, each in enumerate(dict.fromkeys(hashes)):
            text = text.replace(each, f"version-{place}").replace(each[:12], f"version-{place}")
        return text

    golden("plan/text.out", named(plan_text(found)) + "\n")
    golden("plan/json.out", named(plan_json(found, database="sqlite:////shop.db", found=True)) + "\n")


CHANGED = """trigger: {event: Signed Up, where: 'event.plan in ["pro", "team"]'}
entry: {reentry: 60d}
exit: [{event: Left, reason: left}, {when: contact.vip, reason: vip}]
in_flight: follow
moved: {hello: greet}
steps:
  - {id: greet, send: {channel: email, template: hello}}
  - {id: pause, wait: 2d}
  - {id: night, wait: {for: 1h, at: "09:00"}}
  - {id: tips, send: email}
  - {id: offer, send: {channel: email, window: {from: "10:00", to: "17:00"}, only_if: not contact.vip}}
  - id: bought
    wait: {event: Bought, up_to: 120h, then: [{id: thanks, send: email}]}
  - id: value
    branch:
      - {name: high, when: 'in_segment("big") and count("Bought") > 2', steps: [{id: voucher, send: email}]}
      - {name: rest, else: [{id: nudge, wait: 60m}]}
"""
IN_FORCE = """trigger: {event: Signed Up, where: event.plan == "pro"}
entry: {reentry: 30d}
exit: [{event: Left, reason: left}]
steps:
  - {id: hello, send: email}
  - {id: pause, wait: 4d}
  - {id: night, wait: 1h}
  - id: bought
    wait: {event: Bought, up_to: 3d, then: [{id: thanks, send: email}]}
  - id: value
    branch:
      - {name: high, when: 'in_segment("big")', steps: [{id: voucher, send: email}]}
      - {name: rest, else: [{id: nudge, wait: 1h}]}
  - {id: offer, send: {channel: email, window: {from: "09:00", to: "17:00"}}}
  - {id: last, send: email}
"""


def test_what_changes_is_told_in_the_words_of_the_author(sqlite_database: Database) -> None:
    """Steps, times, conditions, texts and what they read of the catalog; and nothing that is only written
    otherwise, or that the journey does not speak of."""
    used = "segments: {big: {when: contact.vip}}\npolicies: {quiet_hours: {from: '21:00', to: '08:00'}}\n"
    unused = "lists: {others: [a]}\n"
    head = HEAD.replace("trigger: {event: Signed Up}\n", "")

    def project(journey: str, catalog: str, texts: Mapping[str, str]) -> Project:
        files = {"journey.yaml": head + journey, **texts}
        return load_project(
            {"journeys/catalog.yaml": CATALOG + catalog}
            | {f"journeys/tour/{name}": text for name, text in files.items()}
        )

    plain = {
        f"{name}.html": f"---\nsubject: {name}\n---\n<p>{name} {'very ' * 30}good</p>\n"
        for name in ("hello", "thanks", "voucher", "offer", "last")
    }
    before = project(IN_FORCE, used + unused, plain)
    later = used.replace("21:00", "20:00").replace("when: contact", "when: not contact")
    texts = plain | {
        "tips.html": plain["hello.html"],
        "offer.html": plain["offer.html"].rstrip("\n"),
        "thanks.html": "---\nsubject: 'Thank you, {{ contact.name | default(\"you\") }}'\npreheader: Ours\n"
        "---\n<p>a</p>\n<p>b</p>\n",
        "voucher.html": f"---\nsubject: voucher\n---\n<p>voucher {'very ' * 30}fine</p>\n",
    }
    del texts["last.html"]
    after = project(CHANGED, later + unused.replace("[a]", "[b]"), texts)
    apply_project(sqlite_database, before, now=START, author=None, git_commit=None)
    found = planned(sqlite_database, after)
    assert not found.problems, found.problems
    golden("plan/differences.out", "\n".join(plan_text(found).splitlines()[1:]) + "\n")
    told = json.loads(plan_json(found, database="sqlite:////shop.db", found=True))["journeys"][0][
        "differences"
    ]
    assert {(each["name"], each["change"], each["was"]) for each in told if each["part"] == "step"} == {
        ("greet", "changed", "hello"),
        *((name, "changed", None) for name in ("pause", "night", "offer", "bought", "value")),
        ("tips", "added", None),
        ("last", "removed", None),
    }
    assert [each["values"] for each in told if each["name"] == "pause"] == [
        [{"where": ["wait"], "before": "4d", "after": "2d"}]
    ]


def test_the_command_says_by_its_exit_code_what_there_is_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(project: Project) -> None:
        write_files(tmp_path, project.files)

    def command(*words: str) -> tuple[int, str]:
        code = journeys([*words, "--project", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    assert command("plan")[0] == 4
    write(tour())
    code, said = command("plan")
    path = Path(default_database(tmp_path).removeprefix("sqlite:///"))
    nothing, _, rest = said.partition("\n\n")
    assert nothing == f"There is no database at {default_database(tmp_path)}: compared with nothing."
    assert (code, rest.split()[:2]) == (5, ["tour", "new"])
    said = command("plan", "--format", "json")[1]
    assert json.loads(said)["database"] == {"url": default_database(tmp_path), "found": False}
    assert not path.exists()
    assert command("apply")[0] == 0
    assert command("plan") == (0, "unchanged: tour\n\nNothing to apply.\n")
    code, said = command("plan", "--format", "json")
    assert (code, json.loads(said)["changes"]) == (0, False)
    assert json.loads(said)["database"] == {"url": default_database(tmp_path), "found": True}
    # Where the database is named, nobody needs the secrets of the settings.
    settings = tmp_path / "journeys.yaml"
    settings.write_text("database: postgresql://shop:${SHOP_PASSWORD}@nowhere/shop\n", encoding="utf-8")
    assert "SHOP_PASSWORD is not set" in command("plan")[1]
    named = ("--database", f"sqlite:///{path}")
    assert command("plan", *named) == (0, "unchanged: tour\n\nNothing to apply.\n")
    settings.unlink()
    write(tour(STEPS.replace("4d", "1d")))
    assert command("plan")[0] == 5
    journey = tmp_path / "journeys/tour/journey.yaml"
    journey.write_text(
        journey.read_text(encoding="utf-8").replace("wait: 1d", "wait: soon"), encoding="utf-8"
    )
    code, said = command("plan")
    assert (code, said.splitlines()[-1]) == (1, "1 error and 1 warning in 2 files.")
    code, said = command("plan", "--format", "json")
    assert (code, json.loads(said)["problems"][0]["line"]) == (1, 8)
    journey.unlink()
    code, said = command("plan")
    assert code == 1
    assert "journey/gone" in said


def test_apply_says_by_when_the_last_goes_on_as_the_plan_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first full minute by which that is past."""
    database = Database.open(default_database(tmp_path))
    with_people(database)
    database.close()
    write_files(tmp_path, tour(STEPS.replace("4d", "1d"), "in_flight: follow\ntimers: recompute\n").files)
    before = utc_now()
    for command in ("plan", "apply"):
        journeys([command, "--project", str(tmp_path)])
        told = re.search(r"until (\d{4}-\d\d-\d\d \d\d:\d\d) UTC", capsys.readouterr().out)
        assert told is not None
        assert datetime.fromisoformat(f"{told[1]}Z") >= before


SCENARIOS = """journey: tour
tests:
  - name: a tour
    contact: {consents: [offers]}
    start: 2026-03-01T10:00:00Z
    events: [{at: 0m, event: Signed Up}]
    expect:
      - {at: 0m, send: hallo}
      - {never: hallo}
      - {never: hallo}
      - {never: other}
"""


def test_a_plan_is_shown_beside_what_is_wrong_with_scenarios_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path, {**tour().files, "journeys/tour/tests.yaml": SCENARIOS})
    assert journeys(["plan", "--project", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "\ntour  new  " in said
    assert said.count("`hallo`") == 2  # one as a send, one as a step that is never reached
    assert "      = and 1 more place\n" in said
    assert said.endswith("4 errors in 1 file.\n")
    assert journeys(["plan", "--project", str(tmp_path), "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [each["journey"] for each in told["journeys"]] == ["tour"]
    assert [each["line"] for each in told["problems"]] == [8, 9, 10, 11]


def test_a_plan_migrates_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
    connection.close()
    write_files(tmp_path, tour().files)
    assert journeys(["plan", "--project", str(tmp_path), "--database", f"sqlite:///{path}"]) == 1
    assert "misses migrations of this version" in capsys.readouterr().err
    with sqlite3.connect(path) as connection:
        assert [row[0] for row in connection.execute("SELECT name FROM sqlite_master")] == ["alembic_version"]
    connection.close()
