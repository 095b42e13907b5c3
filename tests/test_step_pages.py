"""The examples of whole projects in the pages of steps: files that begin with their paths."""

from __future__ import annotations

import re

import pytest
from documents import ROOT, Block, beside_what_it_leaves_out, block_of, blocks

from runner.review.check import check_files
from runner.review.reporters import text_report

CATALOG = block_of(ROOT / "docs" / "language.md", "yaml", "attributes:\n").text
PROJECTS = [block for block in blocks("text") if block.text.startswith("# journeys/")]


@pytest.mark.parametrize("block", PROJECTS, ids=str)
def test_a_project_of_the_pages_is_one(block: Block) -> None:
    parts = re.split(r"^# (journeys/\S+)\n", block.text, flags=re.MULTILINE)[1:]
    files = {"journeys/catalog.yaml": CATALOG, **dict(zip(parts[::2], parts[1::2], strict=True))}
    checked = check_files(files)
    found = beside_what_it_leaves_out(checked.problems)
    assert not found, text_report(found, checked.sources)
    assert checked.journeys > 0
