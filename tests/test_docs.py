"""Every example of the README and the documentation runs, and what the pages claim about the code is so."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import yaml
from documents import (
    PAGES,
    REFERENCE,
    ROOT,
    RULES,
    Block,
    Command,
    beside_what_it_leaves_out,
    block_of,
    blocks,
    commands,
    files_of,
)
from reference.expressions import Situation, holds

from runner.cli import COMMANDS, run
from runner.cli.init import project_files
from runner.engine.filters import FILTERS
from runner.engine.intake import Rejected, read_arrivals
from runner.journey.expression import Scope, parse_expression
from runner.journey.graph import walk
from runner.journey.model import Send
from runner.journey.project import Project, load_project
from runner.journey.scenario_file import find_scenarios
from runner.journey.schema import load_document
from runner.journey.values import BOOLEAN, NUMBER
from runner.journey.yaml import Fields, load_yaml
from runner.review.check import check_files
from runner.review.outcomes import failure_text
from runner.review.reference import reference
from runner.review.reporters import text_report
from runner.review.rules_page import rules_page
from runner.review.scenarios import play_all
from runner.review.template_filters import SIGNATURES
from runner.settings import load_settings
from runner.store.tables import MESSAGE_TRANSITIONS, MessageStatus, RunStatus, metadata
from tests.written import write_files

LANGUAGE = ROOT / "docs" / "language.md"
TEMPLATES = ROOT / "docs" / "templates.md"
CATALOG = "journeys/catalog.yaml"

FRAGMENT = {
    "journey": "journey: demo",
    "language": "language: 1",
    "title": "title: A part of a journey",
    "topic": "topic: offers",
    "trigger": "trigger: {event: Signed Up}",
    "steps": "steps:\n  - {id: hello, send: email}",
}
"""What completes an example that shows a part of a journey."""
STAND_IN = "---\nsubject: A short mail\n---\nHello\n\nhttps://shop.example/unsubscribe\n"


# The YAML of the pages ---------------------------------------------------------------------------------------------


@cache
def catalog_text() -> str:
    """The catalog that the pages of the language speak of."""
    return block_of(LANGUAGE, "yaml", "attributes:\n").text


def keys(text: str) -> set[str]:
    value, problems = load_yaml("example.yaml", text)
    assert not problems
    assert isinstance(value, Fields)
    return {field.key for field in value.fields}


def kind(block: Block) -> str:
    """What an example in YAML is a piece of."""
    found = keys(block.text)
    if "repos" in found:
        return "hooks"
    if "tests" in found:
        return "tests"
    if "attributes" in found:
        return "catalog"
    if found & {"database", "limits"} or found == {"channels"}:
        return "settings"
    return "journey"


YAML = blocks("yaml")
JOURNEYS = [block for block in YAML if kind(block) == "journey"]
SCENARIOS = [block for block in YAML if kind(block) == "tests"]


def journey_files(block: Block) -> tuple[str, dict[str, str]]:
    """The name of an example's journey, and a project of it: the catalog of the pages, and a template a send."""
    found = keys(block.text)
    text = block.text + "".join(f"{line}\n" for key, line in FRAGMENT.items() if key not in found)
    match = re.search(r"^journey: (\S+)", text, re.MULTILINE)
    assert match
    name = match[1]
    files = {CATALOG: catalog_text(), f"journeys/{name}/journey.yaml": text}
    if block.page.name == "README.md" and block.page.parent == ROOT:
        files |= {
            path: data.decode() for path, data in project_files().items() if path.startswith("journeys/")
        }
        files[f"journeys/{name}/journey.yaml"] = text
    return name, with_templates(files)


def with_templates(files: Mapping[str, str]) -> dict[str, str]:
    """``files``, with a stand-in for each template that a send wants and the files do not have."""
    added = dict(files)
    for name, journey in load_project(files).journeys.items():
        for step in walk(journey.steps):
            path = f"journeys/{name}/{step.verb.template}.txt" if isinstance(step.verb, Send) else ""
            if path:
                added.setdefault(path, STAND_IN)
    return added


def no_problems(files: Mapping[str, str]) -> Project:
    checked = check_files(files)
    found = beside_what_it_leaves_out(checked.problems)
    assert not found, text_report(found, checked.sources)
    assert checked.journeys
    return load_project(files)


@pytest.mark.parametrize("block", JOURNEYS, ids=str)
def test_a_journey_of_the_pages_is_one(block: Block) -> None:
    no_problems(journey_files(block)[1])


@pytest.mark.parametrize("block", SCENARIOS, ids=str)
def test_the_scenarios_of_the_pages_pass(block: Block) -> None:
    complete = {name: files for name, files in map(journey_files, JOURNEYS) if name != "demo"}
    value, _ = load_yaml("tests.yaml", block.text)
    assert isinstance(value, Fields)
    name = getattr(value.get("journey"), "text", "")
    project = load_project({**complete[name], f"journeys/{name}/tests.yaml": block.text})
    scenarios, problems = find_scenarios(project)
    assert not problems, text_report(problems, project.files)
    outcomes = list(play_all(project, scenarios))
    assert outcomes
    assert all(outcome.passed for outcome in outcomes), "\n".join(
        failure_text(outcome) for outcome in outcomes if not outcome.passed
    )


def test_waits_end_as_their_table_says() -> None:
    text = (ROOT / "docs" / "steps" / "wait.md").read_text(encoding="utf-8")
    head, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.findall(r"^\| (?:comes there|Mon).*$", text, re.MULTILINE)
    )
    assert len(rows) == 5
    days = {"Mon": 2, "Tue": 3, "Wed": 4}
    for place, wait in enumerate(head[1:], start=1):
        tests = ["journey: demo", "tests:"]
        for row in rows:
            start, end = (
                f"2026-03-0{days[day]}T{time}" for day, time in map(str.split, (row[0], row[place]))
            )
            tests.append(f"  - {{name: {start}, start: {start}, events: [{{at: 0m, event: Signed Up}}],")
            tests.append(f"     expect: [{{at: {end}, completed: true}}]}}")
        steps = f"steps:\n  - {{id: rest, wait: {wait.strip('`')}}}\n"
        journey = "".join(f"{line}\n" for key, line in FRAGMENT.items() if key != "steps") + steps
        files = {CATALOG: catalog_text(), "journeys/demo/journey.yaml": journey}
        project = load_project({**files, "journeys/demo/tests.yaml": "\n".join(tests) + "\n"})
        scenarios, problems = find_scenarios(project)
        assert not problems
        assert [outcome.scenario.name for outcome in play_all(project, scenarios) if not outcome.passed] == []


@pytest.mark.parametrize("block", [block for block in YAML if kind(block) == "settings"], ids=str)
def test_the_settings_of_the_pages_can_be_loaded(block: Block, tmp_path: Path) -> None:
    (tmp_path / "journeys.yaml").write_text(block.text, encoding="utf-8")
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", block.text), "whsec_c2VjcmV0")
    settings = load_settings(tmp_path, variables)
    assert settings.channels.keys() <= {"email", "sms", "call"}
    assert bool(settings.channels) == ("channels" in keys(block.text))


def test_the_hooks_of_the_pages_exist() -> None:
    (block,) = (block for block in YAML if kind(block) == "hooks")
    offered = re.findall(
        r"^- id: (\S+)", (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(re.findall(r"- id: (\S+)", block.text)) <= set(offered)


def test_the_catalog_is_whole() -> None:
    assert load_document(CATALOG, catalog_text(), "catalog")[1] == ()


# Templates, expressions, data --------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", blocks("html"), ids=str)
def test_a_template_of_the_pages_is_one(block: Block) -> None:
    fragment = "trigger: {event: Cart Updated}\n"
    journey = fragment + "".join(f"{line}\n" for key, line in FRAGMENT.items() if key != "trigger")
    no_problems(
        {
            CATALOG: catalog_text(),
            "journeys/demo/journey.yaml": journey,
            "journeys/demo/hello.html": block.text,
        }
    )


def test_the_templates_of_their_page_make_a_project() -> None:
    """All of them together, in the journey that sends them."""
    steps = "steps:\n  - {id: hello, send: email}\n  - {id: invited, send: email}\n  - {id: listed, send: email}\n"
    journey = "trigger: {event: Cart Updated}\n" + steps
    journey += "".join(f"{line}\n" for key, line in FRAGMENT.items() if key not in ("trigger", "steps"))
    files = {CATALOG: catalog_text(), "journeys/demo/journey.yaml": journey, **files_of(TEMPLATES)}
    project = no_problems(files)
    assert set(project.bundle("demo")) == set(files)


def test_every_filter_is_named() -> None:
    text = TEMPLATES.read_text(encoding="utf-8")
    listed = text.split("filters a closed\nlist: ")[1].split(". Those")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(FILTERS) - {"e"}
    takers = re.findall(r"^\| `(\w+)\(([\w, ]*)\)` \|", text, re.MULTILINE)
    assert {name: tuple(names.split(", ")) for name, names in takers} == {
        name: tuple(each.name for each in signature.parameters) for name, signature in SIGNATURES.items()
    }


EXPRESSIONS = [
    pytest.param(block, line, id=f"{block.line}-{line[:40]}")
    for block in blocks("python")
    for line in block.text.splitlines()
]
SITUATION = Situation(instant=1_772_000_000_000_000)
"""Somebody of whom nothing is known."""


@cache
def scope() -> Scope:
    catalog = load_project({CATALOG: catalog_text()}).catalog
    return Scope(
        catalog=catalog,
        trigger=catalog.events["Cart Updated"].properties,
        run_values={"first_total": NUMBER},
        sends=frozenset({"remind"}),
    )


@pytest.mark.parametrize(("block", "line"), EXPRESSIONS)
def test_an_expression_of_the_pages_is_one(block: Block, line: str) -> None:
    parse_expression(line, scope())


TRUE = ("Missing values", "Numbers, texts and dates")
"""The headings of the examples of which the page says that they hold."""


def test_some_examples_are_said_to_be_true() -> None:
    assert {block.heading for block in blocks("python")} >= set(TRUE)


@pytest.mark.parametrize(
    "line", [line for block in blocks("python") if block.heading in TRUE for line in block.text.splitlines()]
)
def test_what_the_pages_say_to_be_true_is_so(line: str) -> None:
    assert holds(parse_expression(line, scope(), expect=BOOLEAN), SITUATION)


@pytest.mark.parametrize("block", blocks("json", "csv"), ids=str)
def test_the_data_of_the_pages_can_be_imported(block: Block, tmp_path: Path) -> None:
    path = tmp_path / ("rows.csv" if block.language == "csv" else "lines.ndjson")
    path.write_text(block.text, encoding="utf-8")
    arrivals = list(read_arrivals(path, scope().catalog, received_at=datetime(2026, 4, 1, tzinfo=UTC)))
    assert arrivals
    for arrival in arrivals:
        assert not isinstance(arrival, Rejected), arrival.reason
        assert not arrival.rejected
        assert not arrival.undeclared


# Commands ----------------------------------------------------------------------------------------------------------


def typed(line: str, folder: Path) -> tuple[int, str]:
    """Exit code and output of what a shell does with ``line``, the commands of this environment before all others."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def called(line: str, folder: Path) -> tuple[int, str]:
    """The same as ``typed``; ``journeys`` alone is called within this process, which takes a tenth of the time."""
    words = shlex.split(line)
    if words[0] != "journeys" or set(words) & {"|", ">", "&&", ";"}:
        return typed(line, folder)
    printed = io.StringIO()
    with contextlib.chdir(folder), redirect_stdout(printed), redirect_stderr(printed):
        code = run(words[1:])
    return code, printed.getvalue()


def project_of(page: Path, folder: Path) -> Path:
    """The folder in which the commands of a page are typed: a new project, or the one of the recorded year."""
    if page.name == "backtest.md":
        return Path(shutil.copytree(ROOT / "examples/complete-journey", folder / "complete-journey"))
    for name, data in project_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def code_of(command: Command) -> int:
    """The exit code of a command that prints this."""
    if command.line.startswith("journeys plan") and re.search("  (new|changed) ", command.printed):
        return 5
    return 1 if re.search(r"^1 error|FAILED", command.printed, re.MULTILINE) else 0


PAGES_WITH_COMMANDS = sorted({block.page for block in blocks("console")})


@pytest.mark.parametrize("page", PAGES_WITH_COMMANDS, ids=lambda page: page.name)
def test_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    project = project_of(page, tmp_path)
    if page == ROOT / "README.md":
        # Its reader has typed the five commands before.
        for line in block_of(page, "sh", "git clone").text.splitlines()[2:]:
            command_line = line.removeprefix(".venv/bin/").replace("../shop", str(project))
            assert called(command_line, project)[0] == 0
    for block in blocks("console"):
        if block.page != page:
            continue
        for command in commands(block):
            code, printed = called(command.line, project)
            assert command.prints(printed), f"{block}: $ {command.line}\n{printed}"
            assert code == code_of(command), f"{block}: $ {command.line}\n{printed}"


def test_a_double_opt_in_by_a_page_of_ones_own(tmp_path: Path) -> None:
    """The project of the page: asked when the form was filled in, thanked when the page has sent the second word."""
    write_files(tmp_path, files_of(ROOT / "docs" / "links.md"))

    def sent_after(arrived: str) -> int:
        code, printed = called(f"journeys events import --live {arrived}", tmp_path)
        assert code == 0, printed
        code, printed = called("journeys run --once", tmp_path)
        assert code == 0, printed
        return len(list((tmp_path / "outbox").glob("*.eml")))

    for line in ("journeys check --strict", "journeys test", "journeys apply"):
        code, printed = called(line, tmp_path)
        assert code == 0, printed
    assert [sent_after("sign-up.ndjson"), sent_after("confirmed.ndjson")] == [1, 2]


def test_the_workflow_of_its_page(tmp_path: Path) -> None:
    """Its commands, each in a shell as the service has it, over a new project that was applied and then changed."""
    write_files(tmp_path, {name: data.decode() for name, data in project_files().items()})
    workflow = yaml.safe_load(files_of(ROOT / "docs" / "ci.md")[".github/workflows/journeys.yml"])
    steps = workflow["jobs"]["journeys"]["steps"]
    check, test, plan = (step["run"] for step in steps if "journeys " in step.get("run", ""))
    for line in (check, test, "journeys apply"):
        code, printed = typed(f"set -e; {line}", tmp_path)
        assert code == 0, printed
    plan = f"set -e; PLAN_DATABASE=sqlite:///{tmp_path}/.journeys/journeys.db\n{plan}"
    assert typed(plan, tmp_path)[0] == 0
    mail = tmp_path / "journeys/welcome/hello.html"
    text = mail.read_text(encoding="utf-8")
    mail.write_text(text.replace("subject: ", "subject: Hello! "), encoding="utf-8")
    code, printed = typed(plan, tmp_path)
    assert (code, "welcome  changed" in printed) == (0, True), printed
    mail.write_text(text.replace("---", "", 1), encoding="utf-8")
    code, printed = typed(plan, tmp_path)
    assert (code, "hello.html:" in printed) == (1, True), printed
    for wrong in ("--project nosuch", "--bogus"):
        code, printed = typed(plan.replace("journeys plan", f"journeys plan {wrong}"), tmp_path)
        assert code == 2, printed


def test_five_commands_lead_from_a_clone_to_a_message(tmp_path: Path) -> None:
    """The clone stands there already, with the environment that runs this test instead of one made anew."""
    block = block_of(ROOT / "README.md", "sh", "git clone")
    clone, *others = block.text.splitlines()
    assert clone == "git clone REPOSITORY journeys-as-code && cd journeys-as-code"
    assert len(others) == 4
    folder = tmp_path / "journeys-as-code"
    (folder / ".venv").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copyfile(ROOT / name, folder / name)
        os.utime(folder / name, (0, 0))
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (folder / ".venv" / ".made-from-lock").touch()
    for line in others:
        code, printed = typed(line, folder)
        assert code == 0, printed
        if line.startswith("make init"):
            # What it prints is what to type next.
            assert [each.strip() for each in printed.splitlines() if "journeys " in each][-3:] == others[1:]
    written = sorted((tmp_path / "shop" / "outbox").glob("*.eml"))
    assert [path.name.split("-")[3] for path in written] == ["ana", "nino"]


@pytest.mark.parametrize("folder", ["../shop", "../my shop"])
def test_what_make_init_prints_can_be_typed(folder: str) -> None:
    command = ["make", "--dry-run", "init", f"DIR={folder}"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = re.findall(r'^echo "  (.* --project .*)"$', printed, re.MULTILINE)
    assert [shlex.split(line)[-1] for line in lines] == [folder] * 3


def test_targets_of_the_readme_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for target in set(re.findall(r"\bmake ([a-z]+)\b(?= DIR=|`|    #|\n)", pages)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


# What the pages claim ----------------------------------------------------------------------------------------------


def test_the_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "make docs"


def test_the_page_of_the_rules_is_up_to_date() -> None:
    assert RULES.read_text(encoding="utf-8") == rules_page(), "make docs"


BEGINS = (MessageStatus.READY, MessageStatus.BLOCKED, MessageStatus.WITHHELD)


def arrows(page: str, state: str) -> set[str]:
    text = block_of(ROOT / "docs" / page, "mermaid", f"--> {state}\n").text
    return {line.strip() for line in text.splitlines() if "-->" in line}


def test_the_states_of_a_message_are_those_of_the_store() -> None:
    first = {f"[*] --> {status}" for status in BEGINS}
    moves = {f"{one} --> {then}" for one, others in MESSAGE_TRANSITIONS.items() for then in others}
    assert arrows("operate.md", "sending") == first | moves
    told = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    assert all(f"| `{status}` |" in told for status in MessageStatus)


def test_the_states_of_a_run_are_those_of_the_store() -> None:
    ends = {f"{RunStatus.ACTIVE} --> {status}" for status in RunStatus if status is not RunStatus.ACTIVE}
    assert arrows("architecture.md", "exited") == {f"[*] --> {RunStatus.ACTIVE}"} | ends


def test_every_table_is_told() -> None:
    told = (
        (ROOT / "docs" / "data.md").read_text(encoding="utf-8").split("## What is kept")[1].split("\n## ")[0]
    )
    rows = "".join(line.split("|")[1] for line in told.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)`", rows)) == set(metadata.tables)


def test_every_command_is_told() -> None:
    told = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `journeys ([a-z]+)", told, re.MULTILINE)) == set(COMMANDS)


def test_every_promise_has_the_test_that_it_names() -> None:
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/\w+\.py)::(\w+)`", text)
    assert len(named) == len(re.findall(r"^\| (?!promise)\S.* \|$", text, re.MULTILINE))
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{test}"


def anchors(page: Path) -> set[str]:
    """The places of a page that a link can lead to, as GitHub names them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        led_to = (page.parent / path).resolve() if path else page
        assert led_to.exists(), target
        assert not anchor or anchor in anchors(led_to), target
