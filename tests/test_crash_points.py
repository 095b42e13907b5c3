"""A process is stopped at every point of every stage in turn; another goes on, and in the end nothing is different.

A point is before each statement, before and after each commit, and before and after each message is handed over.
What may differ is the one message that was just being handed over to a channel that cannot be asked: it stands as
``unknown``.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.store.database import Database
from tests.simulation.stand import folder_in_memory
from tests.simulation.stops import Place, PostgresPlace, SqlitePlace, Workload
from tests.simulation.wire import Moment
from tests.simulation.workload import acts

EVERY = int(os.environ.get("JOURNEYS_CRASH_POINTS_EVERY", "0"))
"""Of how many points one is tried; 1 for all of them, which takes minutes. By default the choices below."""
OF_STATEMENTS = 40
"""SQLite: each point around commits and messages, and one in so many of those before statements: up to its commit a
transaction leaves no trace, wherever it is stopped."""
ON_POSTGRESQL = 40
"""One in so many, whatever stands there: a process that begins costs more there than all that it does."""


@pytest.fixture
def sqlite_place() -> Iterator[SqlitePlace]:
    folder = folder_in_memory()
    place = SqlitePlace(folder)
    yield place
    place.cut()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A process that dies hundreds of times has much to say."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def postgres_place(postgres_url: str) -> Iterator[PostgresPlace]:
    with Database.scratch(postgres_url, partitions=2, key="simulation") as database:
        place = PostgresPlace(database, postgres_url)
        yield place
        place.close()


Lives = Mapping[str, list[Any]]


def difference(told: Lives, lived: Lives, taken: Counter[str], *, asks: bool) -> str | None:
    """In what a life that was interrupted once differs, unlawfully, from the one that was not."""
    if max(taken.values(), default=1) > 1:
        return "a message was taken over twice"
    for name in sorted(told.keys() - {"messages"}):
        if lived[name] != told[name]:
            return f"{name}: {apart(lived[name], told[name])}"
    without = [[row[:-1] for row in lives["messages"]] for lives in (lived, told)]
    if without[0] != without[1]:
        return f"messages: {apart(*without)}"
    differ = [
        (row[-1], other[-1])
        for row, other in zip(told["messages"], lived["messages"], strict=True)
        if row != other
    ]
    in_doubt = ([("sent", "unknown")], [("failed", "unknown")])
    if differ and (asks or differ not in in_doubt):
        return f"messages became {differ}"
    statuses = Counter(row[-1] for row in lived["messages"])
    if not statuses["sent"] <= sum(taken.values()) <= statuses["sent"] + statuses["unknown"]:
        return f"{sum(taken.values())} messages were taken over, and they are {statuses}"
    return None


def apart(found: Sequence[Any], wanted: Sequence[Any]) -> str:
    """The rows in which two lists differ."""
    more, less = Counter(found) - Counter(wanted), Counter(wanted) - Counter(found)
    return f"{sorted(more.elements())} instead of {sorted(less.elements())}"


def nothing_on_its_way(lives: Lives) -> bool:
    return {row[-1] for row in lives["messages"]}.isdisjoint({"ready", "claimed", "sending"})


def chosen(moments: Sequence[Moment], offset: int, every: int) -> list[int]:
    """The points of an act that are tried: one in ``every``, or, where that is 0, those that matter most."""
    if every:
        return list(range(offset % every, len(moments), every))
    return [
        point
        for point, moment in enumerate(moments)
        if moment is not Moment.STATEMENT or (point + offset) % OF_STATEMENTS == 0
    ]


@pytest.mark.parametrize("asks", [False, True], ids=["cannot-be-asked", "can-be-asked"])
def test_stopped_at_any_point_on_sqlite(sqlite_place: SqlitePlace, tmp_path: Path, asks: bool) -> None:
    stopped_at_any_point(sqlite_place, tmp_path, asks, EVERY)


@pytest.mark.parametrize("asks", [False, True], ids=["cannot-be-asked", "can-be-asked"])
def test_stopped_at_any_point_on_postgresql(
    postgres_place: PostgresPlace, tmp_path: Path, asks: bool
) -> None:
    stopped_at_any_point(postgres_place, tmp_path, asks, EVERY or ON_POSTGRESQL)


def stopped_at_any_point(place: Place, folder: Path, asks: bool, every: int) -> None:
    """Live the acts undisturbed, then once more from the beginning of each act for each of its points."""
    workload = Workload(place, acts(folder), asks=asks)
    images, outsides, told, moments = [place.image()], [workload.outside], [], []
    for act in workload.acts:
        workload.live([act])
        moments.append(workload.moments)
        told.append(workload.lived())
        images.append(place.image())
        outsides.append(workload.outside)
    statuses = {row[-1] for row in told[-1]["messages"]}
    assert statuses == {"sent", "failed", "cancelled"} | (set() if asks else {"unknown"})
    assert sum(map(len, moments)) > 500
    for number, act in enumerate(workload.acts):
        if asks and not EVERY and not act.name.startswith("deliver"):
            continue  # nothing else meets a channel
        points = chosen(moments[number], sum(map(len, moments[:number])), every)
        sys.stdout.write(f"act {number} ({act.name}): {len(points)} points\n")
        for point in points:
            place.put_back(images[number])
            workload.restore(outsides[number])
            workload.live([act], point)
            last, lived = number, workload.lived()
            wrong = difference(told[last], lived, workload.outside.taken, asks=asks)
            # As soon as it stands where the other stood, what follows is what followed.
            while last + 1 < len(workload.acts) and (wrong or not nothing_on_its_way(lived)):
                last += 1
                workload.live([workload.acts[last]])
                lived = workload.lived()
                wrong = difference(told[last], lived, workload.outside.taken, asks=asks)
            assert wrong is None, f"act {number} ({act.name}), point {point}"
