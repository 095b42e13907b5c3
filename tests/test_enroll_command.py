"""``journeys enroll``: contacts enter a journey by hand, one or those of a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from runner.cli import run
from runner.store.database import Database
from runner.store.tables import contact
from runner.store.tables import run as run_table
from tests.written import write_files

CATALOG = """
attributes:
  plan: {type: string}
events:
  Signed Up: {}
topics:
  receipts: {title: Receipts, opt_in: none}
channels:
  email: {uses: file, sender: {name: Shop, address: hello@shop.example}}
"""
INVITE = """
journey: invite
language: 1
title: By hand
topic: receipts
trigger: {manual: true, properties: {code: string, seats: number}}
entry: {per: trigger.code, reentry: always}
steps:
  - {id: enough, condition: trigger.seats >= 2}
  - {id: pause, wait: 1d}
"""
OTHER = """
journey: other
language: 1
title: By an event
trigger: {event: Signed Up}
steps:
  - {id: pause, wait: 1d}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "catalog.yaml": CATALOG,
        "invite/journey.yaml": INVITE,
        "other/journey.yaml": OTHER,
        "people.csv": "id,plan\nana,free\nbea,pro\ncleo,pro\n",
    }
    write_files(tmp_path / "journeys", files)
    (tmp_path / "journeys.yaml").write_text("database: sqlite:///shop.db\n", encoding="utf-8")
    (tmp_path / "people.csv").write_text((tmp_path / "journeys" / "people.csv").read_text(), encoding="utf-8")
    (tmp_path / "journeys" / "people.csv").unlink()
    call("apply", project=tmp_path)
    call("contacts", "import", str(tmp_path / "people.csv"), project=tmp_path)
    return tmp_path


def call(*arguments: str, project: Path, code: int = 0) -> None:
    assert run([*arguments, "--project", str(project)]) == code


def runs(project: Path) -> list[tuple[Any, ...]]:
    """Who is in which run by now, with what it was started by."""
    call("run", "--once", project=project)
    database = Database.open(f"sqlite:///{project}/shop.db")
    rows = (
        select(contact.c.key, run_table.c.trigger, run_table.c.status)
        .join(contact, (contact.c.partition == run_table.c.partition) & (contact.c.id == run_table.c.contact))
        .order_by(contact.c.key, run_table.c.id)
    )
    with database.read() as connection:
        found = [tuple(row) for row in connection.execute(rows)]
    database.close()
    return found


def test_one_contact_enters_with_properties_of_their_types(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("enroll", "invite", "--contact", "ana", "--set", "code=a1", "--set", "seats=3", project=project)
    assert "ana enters invite" in capsys.readouterr().out
    assert runs(project) == [("ana", {"code": "a1", "seats": 3_000_000, "journey": "invite"}, "active")]


def test_a_key_makes_it_happen_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        call("enroll", "invite", "--contact", "ana", "--set", "seats=3", "--key", "spring", project=project)
    assert "before; nothing happens" in capsys.readouterr().out
    call("enroll", "invite", "--contact", "bea", "--key", "k" * 256, project=project, code=1)
    assert "The key is longer than 255 characters." in "".join(capsys.readouterr())
    call("enroll", "invite", "--contact", "bea", "--set", "seats=1", "--key", "spring", project=project)
    call(
        "enroll", "invite", "--contact", "ana", "--set", "seats=3", "--set", "code=c2", "--format", "json",
        project=project,
    )  # fmt: skip
    assert json.loads(capsys.readouterr().out.split("\n", 1)[1])["new"] is True
    assert [(key, status) for key, _, status in runs(project)] == [
        ("ana", "active"),
        ("ana", "active"),
        ("bea", "exited"),
    ]


def test_a_file_enters_once_and_strangers_are_left_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project / "list.csv"
    file.write_text("userId,code,seats\nana,a,2\nbea,b,2.5\nnobody,c,3\ncleo,d,x\n", encoding="utf-8")
    call("enroll", "invite", "--file", str(file), project=project, code=1)
    printed = capsys.readouterr().out
    assert "3 new, 0 already there, 0 rejected" in printed
    assert "1 key of no contact, left out: `nobody`" in printed
    assert "`seats` of 1 event is no number and was left empty: line 5, cleo: 'x'" in printed
    call("enroll", "invite", "--file", str(file), project=project, code=1)
    assert "0 new, 3 already there" in capsys.readouterr().out
    again = project / "list.ndjson"
    again.write_text('{"userId": "ana", "properties": {"code": "z", "seats": 9}, "messageId": "m1"}\n')
    call("enroll", "invite", "--file", str(again), "--format", "json", project=project)
    assert json.loads(capsys.readouterr().out)["files"][0]["new"] == 1
    assert [(key, trigger["code"], status) for key, trigger, status in runs(project)] == [
        ("ana", "a", "active"),
        ("ana", "z", "active"),
        ("bea", "b", "active"),
        ("cleo", "d", "exited"),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("invite", "--contact", "nobody"), 1, "There is no contact 'nobody'."),
        (("invite", "--contact", "ana", "--set", "cod=1"), 1, "Did you mean `code`?"),
        (("invite", "--contact", "ana", "--set", "seats=many"), 1, "The value of 'seats' is not number."),
        (("other", "--contact", "ana"), 1, "has no trigger `manual: true`"),
        (("invit", "--contact", "ana"), 1, "Did you mean `invite`?"),
        (("invite",), 2, "Say either --contact or --file."),
    ],
)
def test_what_is_wrong_is_said(
    arguments: tuple[str, ...], code: int, told: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("enroll", *arguments, project=project, code=code)
    assert told in capsys.readouterr().err
