"""Which texts those read who finish an older version of their journey."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from runner.engine.deliver import deliver
from runner.engine.pausing import pause_journey, resume_journey
from runner.engine.tick import LIVE
from runner.journey.newest_texts import Written, kept_texts, newest_texts
from runner.journey.project import load_project
from runner.store.database import Database
from runner.store.tables import ConsentState
from tests.followed import DAY, HOUR, Tour, files, sends, wait
from tests.shop import CATALOG, START, Sink

STEPS = sends("hello")


def written(
    text: str = "Hello", *, steps: str = STEPS, head: str = "", catalog: str = CATALOG, **more: str
) -> Written:
    tree: dict[str, str] = dict(files(steps, head, catalog))
    tree["journeys/tour/hello.txt"] = text + "\n"
    tree["journeys/tour/hello.html"] = f"---\nsubject: Hello\n---\n<p>{text}</p>\n"
    project = load_project(tree | {f"journeys/tour/{name}.txt": text for name, text in more.items()})
    assert not [problem for problem in project.problems if problem.severity == "error"], project.problems
    return Written(
        journey=project.journeys["tour"], catalog=project.catalog, templates=project.templates["tour"]
    )


def kept(old: Written, newest: Written) -> str | None:
    found: Mapping[str, str] = kept_texts(old, newest)
    bodies = {template.body for template in newest_texts(old, newest) if template.extension == "txt"}
    theirs = old if found else newest
    assert bodies == {template.body for template in theirs.templates if template.extension == "txt"}
    return found.get("hello")


def test_the_newest_text_is_taken_where_the_older_version_can_fill_it() -> None:
    newest = written(
        "Good day {{ contact.first_name }}, {{ trigger.seats }} seats", steps=wait("rest", "1d") + STEPS
    )
    assert kept(written(), newest) is None


def test_a_journey_may_keep_its_texts() -> None:
    assert (
        kept(written(), written("Good day", head="content: pinned")) == "the journey says `content: pinned`"
    )


@pytest.mark.parametrize(
    ("text", "steps", "catalog", "reason"),
    [
        (
            "{{ contact.shoe_size }}",
            STEPS,
            CATALOG.replace("attributes:", "attributes:\n  shoe_size: {type: number}"),
            "the newest reads `contact.shoe_size`, which their version does not know",
        ),
        (
            "{{ contact.points }}",
            STEPS,
            CATALOG.replace("points: {type: number}", "points: {type: string}"),
            "the newest reads `contact.points`, which is of another type in their version",
        ),
        (
            "{{ trigger.colour }}",
            STEPS,
            CATALOG.replace("plan: string", "plan: string, colour: string"),
            "the newest reads `trigger.colour`, which their version does not know",
        ),
        (
            "{{ run.said }}",
            "  - {id: note, update: {run: {said: hello}}}\n" + STEPS,
            CATALOG,
            "the newest reads `run.said`, which their version does not know",
        ),
        (
            "{{ run.blocked }}",
            STEPS,
            CATALOG,
            "the newest reads `run.blocked`, which their version does not know",
        ),
        (
            "{{ run }}",
            "  - {id: note, update: {run: {said: hello}}}\n" + STEPS,
            CATALOG,
            "the newest reads `run.said`, which their version does not know",
        ),
        (
            "Good day",
            sends("hello").replace("template: hello", "template: other"),
            CATALOG,
            "the newest version does not send it",
        ),
    ],
    ids=["attribute", "type", "trigger", "run", "blocked", "whole", "not-sent"],
)
def test_the_older_text_is_kept_where_the_newest_reads_what_there_is_not(
    text: str, steps: str, catalog: str, reason: str
) -> None:
    assert kept(written(), written(text, steps=steps, catalog=catalog, other="Other")) == reason


def test_a_link_that_the_older_version_does_not_have() -> None:
    head = "links: {stop: {exit: stopped}}"
    catalog = CATALOG + "links: {domain: links.shop.example}\n"
    newest = written("{{ links.stop }}", head=head, catalog=catalog)
    assert kept(written(), newest) == "the newest reads `links.stop`, which their version does not know"


def test_a_text_that_goes_by_another_channel_now() -> None:
    catalog = CATALOG + "  sms: {uses: file}\n"
    newest = written("Good day", steps=STEPS.replace("channel: email", "channel: sms"), catalog=catalog)
    assert kept(written(), newest) == "the newest version does not send it by email"


RECEIPT = STEPS.replace("template: hello", "template: hello, topic: receipts")
VIPS = STEPS.replace("template: hello", "template: hello, only_if: contact.vip")
ASKED = CATALOG.replace("Receipts, opt_in: none", "Receipts, opt_in: explicit")


@pytest.mark.parametrize(
    ("old", "newest", "reason"),
    [
        (
            written(steps=RECEIPT),
            written("50 percent off"),
            "the newest version does not send it under the topic receipts",
        ),
        (written(), written("Only you", steps=VIPS), "the newest version sends it under another `only_if`"),
        (written(steps=VIPS), written("All"), "the newest version sends it under another `only_if`"),
        (
            written(),
            written("Draft", head="delivery: shadow"),
            "the newest version says `delivery: shadow`",
        ),
        (
            written(steps=RECEIPT),
            written("50 percent off", steps=RECEIPT, catalog=ASKED),
            "the topic receipts has another `opt_in` in the newest version",
        ),
        (written(), written("Followed", head="in_flight: follow"), None),
        (written(steps=RECEIPT), written("Both", steps=STEPS + RECEIPT.replace("id: hello", "id: b")), None),
        (written(steps=VIPS), written("Yours", steps=VIPS.replace("contact.vip", "(contact.vip)")), None),
    ],
    ids=["topic", "narrower", "wider", "draft", "opt-in", "follow", "sent-twice", "spelt-otherwise"],
)
def test_a_text_that_was_written_for_others(old: Written, newest: Written, reason: str | None) -> None:
    assert kept(old, newest) == reason


@pytest.mark.parametrize("mode", ["finish", "follow"])
def test_an_offer_does_not_leave_as_a_receipt(sqlite_database: Database, mode: str) -> None:
    rest = wait("rest", "1d") if mode == "finish" else ""
    tour = Tour(sqlite_database, rest + RECEIPT + wait("end", "9d"), pace=LIVE)
    tour.identify("ana")
    tour.consent("ana", ConsentState.WITHDRAWN)
    tour.arrive([tour.event("ana", "Signed Up", plan="pro", seats=3)])
    tour.until(START)
    newest = dict(files(rest + STEPS + wait("end", "9d"), f"in_flight: {mode}"))
    tour.change_to(newest | {"journeys/tour/hello.txt": "50 percent off\n"}, START + HOUR)
    tour.until(START + DAY)
    sink = Sink()
    deliver(tour.database, tour.versions, {"email": sink}, START + DAY)
    assert [message.text for message in sink.messages] == ["Hello\n"]


@pytest.mark.parametrize("mode", ["finish", "follow"])
def test_what_a_pause_keeps_back_leaves_with_the_text_that_was_mended_in_it(
    database: Database, mode: str
) -> None:
    """Also where its step is called otherwise by then."""
    tour = Tour(database, sends("hello") + wait("end", "9d"), pace=LIVE)
    tour.enter("ana")
    pause_journey(database, "tour", now=START, who="tests")
    sink = Sink()
    deliver(database, tour.versions, {"email": sink}, START)
    head = f"in_flight: {mode}" + ("\nmoved: {hello: greet}" if mode == "follow" else "")
    newest = dict(files(sends("greet") + wait("end", "9d"), head))
    tour.change_to(newest | {"journeys/tour/hello.txt": "Good day\n"}, START + HOUR)
    resume_journey(database, "tour", now=START + HOUR, who="tests")
    deliver(database, tour.versions, {"email": sink}, START + HOUR)
    assert [(message.step, message.text) for message in sink.messages] == [("hello", "Good day\n")]


@pytest.mark.parametrize(("content", "expected"), [("latest", "Good day\n"), ("pinned", "Hello\n")])
def test_whoever_finishes_an_older_version_reads_so(
    sqlite_database: Database, content: str, expected: str
) -> None:
    tour = Tour(sqlite_database, wait("pause", "2d") + sends("hello"))
    tour.enter("ana")
    newest = dict(files(wait("pause", "9d") + sends("other", "hello"), f"content: {content}"))
    tour.change_to(newest | {"journeys/tour/hello.txt": "Good day\n"}, START + HOUR)
    tour.until(START + 3 * DAY)
    sink = Sink()
    deliver(tour.database, tour.versions, {"email": sink}, START + 3 * DAY, exact=True)
    assert [(message.step, message.text) for message in sink.messages] == [("hello", expected)]
