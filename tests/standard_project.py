"""The project that small test cases are placed in: the one of the examples of the rules."""

from __future__ import annotations

from pathlib import Path

from runner.review.rule_examples import HEADER, JOURNEY, example_files

__all__ = ["CASES", "HEADER", "JOURNEY", "read_overlay", "standard_files"]

CASES = Path(__file__).parent / "cases"

standard_files = example_files


def read_overlay(folder: Path) -> dict[str, str]:
    """The files below ``folder``, by posix path."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
