"""The benchmarks say what they measured: ratios from rounds in turn, one table, JSON and a page with the machine."""

from __future__ import annotations

import importlib
import json
import re
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest

from benchmarks.__main__ import MEASURES, main
from benchmarks.harness import Limit, Row, Scale, Sides, Spent, side_by_side
from benchmarks.report import as_json, page_tables, table

ROOT = Path(__file__).parent.parent
FIGURES = (
    Row(
        name="intake",
        database="sqlite",
        size=20_000,
        per_second=1234.5,
        floor_per_second=2000.4,
        ratio=0.617,
        cpu_ratio=0.6,
        target=0.5,
    ),
    Row(
        name="wake-up",
        database="postgresql",
        size=10,
        per_second=10,
        floor_per_second=100,
        ratio=0.1,
        target=0.8,
    ),
    Limit(name="memory", database="sqlite", size=300_000, measured=98.72, unit="MB", limit=300),
)


LONG = {"backtest", "check", "expressions", "intake", "import", "delivery", "latency", "sharing"}
"""Those that measure something of a given size, or that need PostgreSQL."""
FIRST = {"waits": 1, "triggers": 1, "memory": 1}
"""Of those that measure many alike, so many figures."""


@pytest.mark.parametrize("name", MEASURES)
def test_every_benchmark_can_be_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, function = MEASURES[name].split(":")
    module = importlib.import_module(f"benchmarks.{place}")
    measure = getattr(module, function)
    if name in LONG:
        assert callable(measure)
        return
    monkeypatch.setattr(module, "KINDS", ("sqlite",))
    with closing(measure(Scale.TRIAL)) as figures:
        assert list(islice(figures, FIRST.get(name)))


def test_every_benchmark_is_on_the_page() -> None:
    page = (ROOT / "benchmarks/page.md").read_text(encoding="utf-8")
    told = {re.sub(r"\W", "", name) for name in re.findall(r"^\| ([\w-]+) \|", page, re.MULTILINE)}
    assert {name.removesuffix("s") for name in MEASURES} <= told


def test_both_ways_take_turns_and_the_first_round_only_warms_up() -> None:
    order: list[tuple[str, int]] = []

    def ours(number: int) -> int:
        order.append(("ours", number))
        return 10

    def floor(number: int) -> int:
        order.append(("floor", number))
        return 20

    sides = side_by_side(ours, floor, rounds=2)
    expected = [("floor", 0), ("ours", 0), ("ours", 1), ("floor", 1), ("floor", 2), ("ours", 2)]
    assert order == expected
    assert sides.per_second > 0 < sides.floor_per_second


def test_the_ratio_is_the_median_of_the_rounds() -> None:
    pairs = [(Spent(done=10, wall=wall, cpu=1), Spent(done=10, wall=1, cpu=2)) for wall in (1, 2, 100)]
    sides = Sides.of(pairs)
    assert (sides.ratio, sides.cpu_ratio, sides.per_second, sides.floor_per_second) == (0.5, 2, 5, 10)


def test_the_table_says_what_missed_its_target() -> None:
    lines = table(FIGURES).splitlines()
    assert lines[0].split() == [
        "benchmark",
        "database",
        "size",
        "a",
        "second",
        "floor",
        "ratio",
        "by",
        "CPU",
        "target",
    ]
    assert lines[1].split() == ["intake", "sqlite", "20,000", "1,234", "2,000", "0.62", "0.60", "0.50"]
    assert lines[2].endswith("0.80 MISSED")
    assert lines[5].split() == ["memory", "sqlite", "300,000", "98.7", "MB", "300"]


def test_json_and_page_name_the_machine_and_the_date() -> None:
    taken_at = datetime(2026, 3, 1, 10, tzinfo=UTC)
    told = json.loads(as_json(FIGURES, taken_at, 61))
    assert told["taken_at"].startswith("2026-03-01T10:00:00")
    assert {"cores", "cpu", "memory_gb", "os", "python", "sqlite", "postgresql"} <= told["machine"].keys()
    assert [row["name"] for row in told["rates"]] == ["intake", "wake-up"]
    page = page_tables(FIGURES, taken_at, 61)
    assert "Taken on 2026-03-01 on" in page
    assert "| memory | sqlite | 300,000 | 98.7 | MB | 300 |" in page


def test_the_program_writes_json_and_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    main(["check", "--quick", "--json", str(figures), "--report", str(page)])
    printed = capsys.readouterr()
    assert "check" in printed.out
    told = json.loads(figures.read_text())
    assert printed.err.count("\n") == len(told["rates"]) + len(told["limits"]) > 3
    assert page.read_text().startswith("# How fast it is")
    assert "{figures}" not in page.read_text()


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["intak"])
    assert "unknown benchmark intak; there are advance," in capsys.readouterr().err


def test_a_scale_chooses() -> None:
    assert [scale.of(1, 2, 3) for scale in Scale] == [1, 1, 2, 3]
    assert Scale.FULL.of(1, 2) == 2
    assert Scale.TRIAL.of(((10_000, 2), 50), None) == ((200, 2), 50)
