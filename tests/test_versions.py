"""What each person then gets when a journey is changed under them: one golden text a case, for each change of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from golden import CASES, golden
from in_flight import told

from runner.store.database import Database

FOUND = sorted(path for path in (CASES / "versions").iterdir() if path.is_dir())


def lines_of(case: Path) -> Iterator[str]:
    said = yaml.safe_load((case / "case.yaml").read_text(encoding="utf-8"))
    yield said["shows"].strip()
    for after in sorted(path for path in case.iterdir() if path.name.startswith("after")):
        yield from ("", f"=== {after.name}", "")
        with Database.scratch() as database:
            yield from told(case, after, database)


@pytest.mark.parametrize("case", FOUND, ids=lambda case: case.name)
def test_what_each_person_then_gets(case: Path) -> None:
    golden(f"versions/{case.name}/expected.out", "\n".join(lines_of(case)) + "\n")
