"""Reading a project from disk, what makes a version, and the parts of a version."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standard_project import CASES, JOURNEY, standard_files

from runner.journey.project import load_project, read_files, read_folder
from runner.journey.template import read_template
from runner.journey.version import version_hash
from runner.problem import JourneysError, ProblemsFound
from runner.review.check import check_folder
from runner.review.uses import EVERY, uses_of
from tests.written import write_files

EVERYTHING = (CASES / "ok" / "everything.yaml").read_text(encoding="utf-8")
CATALOG = "journeys/catalog.yaml"


def hashed(files: dict[str, str]) -> str:
    return version_hash(load_project(files), "demo")


def test_files_are_read_by_posix_path_and_others_left_alone(tmp_path: Path) -> None:
    files = standard_files({})
    write_files(tmp_path, files)
    write_files(
        tmp_path, {"journeys/.hidden/journey.yaml": "", "journeys/demo/notes.md": "", "other.yaml": "a: 1"}
    )
    (tmp_path / "journeys/demo/picture.png").write_bytes(b"\x89PNG\xff")
    assert read_files(tmp_path) == files


def test_links_are_refused_so_that_nothing_outside_is_read(tmp_path: Path) -> None:
    write_files(tmp_path / "project", standard_files({}))
    write_files(tmp_path, {"secret.txt": "secret", "elsewhere/journey.yaml": "journey: elsewhere"})
    (tmp_path / "project/journeys/demo/leak.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "project/journeys/elsewhere").symlink_to(tmp_path / "elsewhere")
    files, problems = read_folder(tmp_path / "project")
    assert {problem.span.file for problem in problems} == {"journeys/demo/leak.txt", "journeys/elsewhere"}
    assert not any("leak" in path or "elsewhere" in path for path in files)
    with pytest.raises(ProblemsFound):
        read_files(tmp_path / "project")


def test_what_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    write_files(tmp_path, standard_files({}))
    (tmp_path / "journeys/demo/latin.txt").write_bytes("a\nfür".encode("latin-1"))
    (tmp_path / "journeys/demo/large.html").write_bytes(b"x" * 1_100_000)
    _, problems = read_folder(tmp_path)
    by_file = {problem.span.file: problem for problem in problems}
    assert by_file["journeys/demo/large.html"].code == "file/too-large"
    latin = by_file["journeys/demo/latin.txt"]
    assert (latin.code, latin.span.line, latin.span.column) == ("file/encoding", 2, 2)


@pytest.mark.parametrize("path", ["catalog.yaml", "demo/journey.yaml", "demo/hello.txt", "demo/tests.yaml"])
def test_a_file_that_is_not_utf_8_is_one_mistake(path: str, tmp_path: Path) -> None:
    tests = "journey: demo\ntests: [{name: it, start: 2026-03-01T10:00:00Z, expect: [{never: hello}]}]\n"
    write_files(tmp_path, {**standard_files({}), "journeys/demo/tests.yaml": tests})
    with (tmp_path / "journeys" / path).open("ab") as file:
        file.write("# für\n".encode("latin-1"))
    (problem,) = check_folder(tmp_path).problems  # and no other
    assert (problem.code, problem.span.file) == ("file/encoding", f"journeys/{path}")


def test_a_folder_without_journeys_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(JourneysError, match="journeys init"):
        read_files(tmp_path)


def test_a_journey_with_an_error_is_absent_and_the_others_are_there() -> None:
    files = standard_files({"journeys/second/journey.yaml": "journey: second\n"})
    project = load_project(files)
    assert list(project.journeys) == ["demo"]
    assert {problem.span.file for problem in project.problems} == {"journeys/second/journey.yaml"}


def test_a_bundle_makes_the_same_journey_again() -> None:
    files = standard_files({JOURNEY: EVERYTHING, "journeys/demo/unused.txt": "x"})
    project = load_project(files)
    bundle = project.bundle("demo")
    assert "journeys/demo/unused.txt" not in bundle
    again = load_project(bundle)
    assert again.problems == ()
    assert again.journeys["demo"] == project.journeys["demo"]
    assert version_hash(again, "demo") == version_hash(project, "demo")


SAME = [
    ("a comment", JOURNEY, ("journey: demo", "# a comment\njourney: demo")),
    ("a note", JOURNEY, (", note: On purpose.", ", note: Otherwise.")),
    ("flow or block", JOURNEY, ("  - {id: done, exit: finished}", "  - id: done\n    exit: finished")),
    ("the order of keys", JOURNEY, ("  again: restart\n  reentry: 30d\n", "  reentry: 30d\n  again: restart\n")),
    ("quotes within an expression", JOURNEY, ('event.source != "import"', "event.source != 'import'")),
    ("another spelling of a duration", JOURNEY, ("wait: 1h30m", "wait: PT1H30M")),
    ("an attribute in short", CATALOG, ("vip: {type: boolean}", "vip: boolean")),
    ("a topic that is not used", CATALOG, ("topics:\n", "topics:\n  more: {title: More, opt_in: soft}\n")),
    ("an event that is not used", CATALOG, ("events:\n", "events:\n  Clicked: {}\n")),
    ("an attribute that is not used", CATALOG, ("attributes:\n", "attributes:\n  shoe_size: number\n")),
    ("a channel that is not used", CATALOG, ("channels:\n", "channels:\n  push: {}\n")),
    ("another type of a property that is not read", CATALOG, ("ends: date", "ends: datetime")),
]  # fmt: skip

OTHER = [
    ("a longer wait", JOURNEY, ("wait: 1h30m", "wait: 2h")),
    ("another condition", JOURNEY, ("run.days == 5", "run.days == 6")),
    ("another arm", JOURNEY, ("name: control, percent: 33.34", "name: nothing, percent: 33.34")),
    ("another text", "journeys/demo/hello.txt", ("Hello {{", "Dear {{")),
    ("another subject", "journeys/demo/hello.html", ("subject: Hello", "subject: Good day")),
    ("another list", CATALOG, ("EU: [AT, BE, DE]", "EU: [AT, BE, DE, FR]")),
    ("another segment", CATALOG, ("> 500", "> 600")),
    ("another sender", CATALOG, ("hello@shop.example", "shop@shop.example")),
    ("another kind of consent", CATALOG, ("opt_in: none", "opt_in: explicit")),
    ("another zone", CATALOG, ("Europe/Berlin", "Europe/Vienna")),
]


@pytest.mark.parametrize(("path", "change"), [case[1:] for case in SAME], ids=[case[0] for case in SAME])
def test_makes_no_new_version(path: str, change: tuple[str, str]) -> None:
    before, after = changed(path, change)
    assert hashed(before) == hashed(after)


@pytest.mark.parametrize(("path", "change"), [case[1:] for case in OTHER], ids=[case[0] for case in OTHER])
def test_makes_a_new_version(path: str, change: tuple[str, str]) -> None:
    before, after = changed(path, change)
    assert hashed(before) != hashed(after)


ENTRIES = {
    "attributes": ["by_expression", "by_segment", "by_template", "in_subject", "written", "unused"],
    "properties": ["by_expression", "in_history", "by_template", "in_where", "unused"],
}
TYPES = ["string", "number", "boolean", "date", "datetime"]
READING = """\
journey: demo
language: 1
title: Reads a little
topic: tips
trigger: {event: Started, where: event.in_where is not None}
steps:
  - {id: one, condition: contact.by_expression is None and trigger.by_expression is None}
  - {id: two, condition: last("Started").in_history is None and in_segment("some")}
  - {id: note, update: {set: {written: null}}}
  - {id: hello, send: email}
"""


@st.composite
def catalogs(draw: st.DrawFn) -> dict[str, dict[str, str]]:
    """A type for each attribute, and for each property of the event that starts the journey."""
    return {kind: {name: draw(st.sampled_from(TYPES)) for name in names} for kind, names in ENTRIES.items()}


def reading(types: dict[str, dict[str, str]], *, more: bool = False) -> dict[str, str]:
    """A project whose journey reads all entries but those called ``unused``; ``more`` adds entries of every kind."""
    listed = {
        kind: ", ".join(f"{name}: {type}" for name, type in each.items()) + (", more: string" if more else "")
        for kind, each in types.items()
    }
    extra = {
        "event": "  More: {}\n",
        "topic": "  more: {title: More, opt_in: soft}\n",
        "channel": "  more: {}\n",
        "segment": "  more: {when: contact.unused is None}\n",
        "list": "lists:\n  MORE: [a]\n",
    }
    added = extra if more else dict.fromkeys(extra, "")
    catalog = (
        f"attributes: {{{listed['attributes']}}}\n"
        f"events:\n  Started: {{{listed['properties']}}}\n{added['event']}"
        f"topics:\n  tips: {{title: Tips, opt_in: explicit}}\n{added['topic']}"
        f"segments:\n  some: {{when: contact.by_segment is None}}\n{added['segment']}"
        f"channels:\n  email: {{sender: {{address: a@b.example}}}}\n{added['channel']}{added['list']}"
    )
    template = "---\nsubject: 'A {{ contact.in_subject }}'\n---\n{{ contact['by_template'] }} {{ trigger.by_template }}"
    return {CATALOG: catalog, JOURNEY: READING, "journeys/demo/hello.txt": template}


@settings(deadline=None, max_examples=40)
@given(before=catalogs(), after=catalogs())
def test_a_version_is_made_of_what_its_journey_uses(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> None:
    def used(types: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        return {kind: {n: t for n, t in each.items() if n != "unused"} for kind, each in types.items()}

    assert hashed(reading(before)) == hashed(reading(before, more=True))
    assert (hashed(reading(before)) == hashed(reading(after))) == (used(before) == used(after))


@pytest.mark.parametrize("kind", ENTRIES)
@pytest.mark.parametrize("number", range(5))
def test_the_type_of_one_used_entry_makes_a_new_version(kind: str, number: int) -> None:
    plain = {each: dict.fromkeys(names, "string") for each, names in ENTRIES.items()}
    name = ENTRIES[kind][number]
    other = {**plain, kind: {**plain[kind], name: "date"}}
    assert (hashed(reading(plain)) == hashed(reading(other))) == (name == "unused")


@pytest.mark.parametrize(
    "text", ["{% for name in contact %}{{ name }}{% endfor %}", "{{ contact[trigger.source] }}"]
)
def test_a_template_that_may_read_any_attribute_uses_all(text: str) -> None:
    files = standard_files({"journeys/demo/hello.txt": f"---\nsubject: Hello\n---\n{text}"})
    more = {**files, CATALOG: files[CATALOG].replace("attributes:\n", "attributes:\n  shoe_size: number\n")}
    assert hashed(files) != hashed(more)


@pytest.mark.parametrize(
    ("text", "attributes", "scores"),
    [
        ("{# {{ contact.points }} #}{% raw %}{{ contact.points }}{% endraw %}", set(), set()),
        ("{{ 'contact.points' }}{{ contact [ 'points' ]|round }}", {"points"}, set()),
        (
            "{% if contact.score.warm > 3 %}{{ contact.score['cold'] }}{% endif %}",
            {"score"},
            {"warm", "cold"},
        ),
        ("{% for name in contact %}{{ name }}{% endfor %}", {EVERY}, set()),
        ("{% set all = contact.score %}", {"score"}, {EVERY}),
    ],
)
def test_what_a_template_uses_is_what_it_reads(text: str, attributes: set[str], scores: set[str]) -> None:
    plain, read = (
        uses_of(
            load_project(standard_files({"journeys/demo/hello.txt": f"---\nsubject: Hello\n---\n{each}"}))
        )
        for each in ("Hello", text)
    )
    assert (read["attributes"] - plain["attributes"], read["scores"]) == (attributes, scores)


def test_a_list_is_used_by_what_asks_for_its_members() -> None:
    catalog = standard_files({})[CATALOG].replace("lists:\n", "lists:\n  BEST: [a, b]\n  EST: [c]\n")
    journey = EVERYTHING.replace("steps:\n", "steps:\n  - {id: best, condition: contact.id in BEST}\n", 1)
    project = load_project(standard_files({CATALOG: catalog, JOURNEY: journey}))
    assert not [each for each in project.problems if each.severity == "error"]
    assert {"BEST", "EST"} & uses_of(project)["lists"] == {"BEST"}


def changed(path: str, change: tuple[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    files = standard_files({JOURNEY: EVERYTHING})
    old, new = change
    assert old in files[path]
    return files, {**files, path: files[path].replace(old, new)}


def test_a_template_knows_its_name_its_locale_and_where_its_body_begins() -> None:
    template, problems = read_template(
        "journeys/demo/hello.pt-BR.html", "---\nsubject: Olá\nreply_to: a@b.example\n---\n<p>Olá</p>\n"
    )
    assert problems == ()
    assert template is not None
    assert (template.name, template.locale, template.extension) == ("hello", "pt-BR", "html")
    assert template.front == {"subject": "Olá", "reply_to": "a@b.example"}
    assert (template.body, template.body_line) == ("<p>Olá</p>\n", 5)
    assert template.places["reply_to"].line == 3


def test_the_standard_project_is_the_one_of_the_cases() -> None:
    assert load_project({CATALOG: standard_files({})[CATALOG]}).problems == ()
