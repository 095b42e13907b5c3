"""Each case of ``tests/cases/err`` shows the exact text that its author sees; those of ``tests/cases/ok`` are clean.

A case is ``NAME.yaml``, a journey, or a folder ``NAME/`` of files, laid over the project of
``runner.review.rule_examples``; ``NAME.out`` beside it is what ``journeys check`` prints.
``JOURNEYS_UPDATE_CASES=1 pytest tests/test_check_cases.py`` writes it anew: read it before it is committed.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
from pathlib import Path
from types import ModuleType

import pytest
from standard_project import CASES, JOURNEY, read_overlay, standard_files

from runner.cli import run
from runner.journey.project import load_project
from runner.review import rules
from runner.review.check import check_files
from runner.review.reporters import text_report
from runner.review.rule_examples import examples
from tests.written import write_files

ERR = sorted(path for path in (CASES / "err").iterdir() if path.suffix != ".out")
OK = sorted((CASES / "ok").iterdir())


def case_files(case: Path) -> dict[str, str]:
    if case.is_dir():
        return standard_files(read_overlay(case))
    return standard_files({JOURNEY: case.read_text(encoding="utf-8")})


@pytest.mark.parametrize("case", ERR, ids=lambda case: case.stem)
def test_a_mistake_is_shown_as_its_author_sees_it(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_files(tmp_path, case_files(case))
    code = run(["check", "--project", str(tmp_path), "--strict"])
    printed = capsys.readouterr().out
    expected = case.with_suffix(".out")
    if os.environ.get("JOURNEYS_UPDATE_CASES"):
        expected.write_text(printed, encoding="utf-8")
    assert printed == expected.read_text(encoding="utf-8")
    assert code == 1


@pytest.mark.parametrize("case", OK, ids=lambda case: case.stem)
def test_a_good_project_has_no_problems(case: Path) -> None:
    checked = check_files(case_files(case))
    assert not checked.problems, text_report(checked.problems, checked.sources)
    assert checked.journeys >= 1


MODULES = [module for module in vars(rules).values() if isinstance(module, ModuleType)]
EXAMPLES = [
    pytest.param(module, kind, files, id=f"{module.__name__.rsplit('.', 1)[-1]}-{kind}-{index}")
    for module in MODULES
    for kind in ("Passes", "Fails")
    for index, files in enumerate(examples(module, kind))
]


@pytest.mark.parametrize(("module", "kind", "overlay"), EXAMPLES)
def test_the_examples_of_a_rule(module: ModuleType, kind: str, overlay: dict[str, str]) -> None:
    files = standard_files(overlay)
    found = list(module.check(load_project(files)))
    if kind == "Fails":
        assert found
    else:
        checked = check_files(files)
        assert not checked.problems, text_report(checked.problems, checked.sources)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_rule_shows_what_it_finds(module: ModuleType) -> None:
    assert module.check in rules.RULES
    assert examples(module, "Passes")
    assert examples(module, "Fails")


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_each_code_of_a_rule_is_shown(module: ModuleType) -> None:
    """A control character, ``template/character``, cannot be written in an example."""
    tree = ast.parse(inspect.getsource(module))
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    written = {text for text in texts if isinstance(text, str) and re.fullmatch("[a-z]+/[a-z-]+", text)}
    found = (module.check(load_project(standard_files(overlay))) for overlay in examples(module, "Fails"))
    assert written - {problem.code for problems in found for problem in problems} <= {"template/character"}
