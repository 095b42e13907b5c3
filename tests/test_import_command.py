"""``journeys contacts import`` and ``journeys events import`` say what they did, and what will not happen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.cli import run
from tests.recorded_lines import track, written


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop" / "journeys"
    folder.mkdir(parents=True)
    (folder / "catalog.yaml").write_text(
        "attributes: {plan: {type: string}, value: {type: number}}\n"
        "events: {Order Completed: {revenue: number}}\n"
        "topics: {offers: {title: Offers, opt_in: explicit}}\n"
        "channels: {email: {uses: file}}\n"
    )
    return folder.parent


def test_contacts_are_imported_and_shown(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "id,email,plan,value", "ana,ana@x.example,pro,12.5", name="people.csv")
    arguments = ["contacts", "import", str(path), "--project", str(project)]
    assert run([*arguments, "--grant", "offers"]) == 2
    assert run([*arguments, "--grant", "offers:email", "--source", "desk"]) == 0
    assert "1 new, 0 already there, 0 rejected; 1 new contact\n" in capsys.readouterr().out
    assert run(["contacts", "show", "ana", "--project", str(project), "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["attributes"] == {"plan": "pro", "value": "12.5"}
    assert [(one["topic"], one["channel"], one["state"]) for one in shown["consents"]] == [
        ("offers", "email", "given")
    ]
    assert run(["contacts", "show", "ana", "--project", str(project)]) == 0
    assert "email: ana@x.example" in capsys.readouterr().out
    assert run(["contacts", "show", "nobody", "--project", str(project)]) == 1


def test_events_are_imported_and_a_rejected_line_is_an_exit_code(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, track(), "{")
    assert run(["events", "import", str(path), "--project", str(project)]) == 1
    assert "line 2: not JSON" in capsys.readouterr().out
    [kept] = (project / ".journeys" / "rejected").glob("events-*.ndjson")
    assert kept.read_text() == "{\n"
    assert run(["events", "import", str(path), "--project", str(project), "--format", "json"]) == 1
    [told] = json.loads(capsys.readouterr().out)["files"]
    assert (told["not_read"], told["too_old"]) == ({"names": 0, "first": []}, 0)
    assert (told["new"], told["duplicate"], told["rejected_lines"]) == (0, 1, 1)


def test_feedback_that_cannot_be_heeded_is_an_exit_code(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unsubscribe of a message that nobody was sent withdraws nothing; an opened mail asks for nothing."""
    path = written(tmp_path, track())
    assert run(["events", "import", str(path), "--project", str(project)]) == 0
    capsys.readouterr()
    for name, code in (("Message Opened", 0), ("Message Unsubscribed", 1), ("Message Bounced", 1)):
        line = track(event=name, messageId=name, properties={"message": "0" * 64})
        path = written(tmp_path, line, name=f"{code}{name}.ndjson")
        assert run(["events", "import", str(path), "--project", str(project), "--format", "json"]) == code
        [told] = json.loads(capsys.readouterr().out)["files"]
        assert "consents" not in told  # lines that are consents are among the new ones
        assert told["consents_of_contacts"] == 0
        assert (told["new"], told["unknown_messages"], told["unheeded"]) == (1, 1, code)


def test_values_that_do_not_fit_are_told_with_line_and_contact(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(
        tmp_path,
        track(messageId="fits", properties={"revenue": 60.5}),
        "",
        track(userId="bob", messageId="comma", properties={"revenue": "60,5"}),
        *(track(messageId=f"nested{at}", properties={"revenue": [at]}) for at in range(1234)),
        {"type": "identify", "userId": "cem", "traits": {"timezone": "Mars/Olympus", "value": "much"}},
    )
    arguments = ["events", "import", str(path), "--project", str(project)]
    assert run(arguments) == 0
    assert (
        "  `revenue` of 1,235 events is no number and was left empty: line 3, bob: '60,5'; line 4, ana: a list; "
        "line 5, ana: a list, and 1,232 more\n"
        "  `timezone` of 1 contact is no time zone of the IANA database and was left empty: line 1238, cem: "
        "'Mars/Olympus'\n"
        "  `value` of 1 contact is no number and was left empty: line 1238, cem: 'much'\n"
    ) in capsys.readouterr().out
    assert run([*arguments, "--format", "json"]) == 0
    [told] = json.loads(capsys.readouterr().out)["files"]
    assert told["rejected_values"][2] == {
        "property": "value",
        "of": "contact",
        "why": "is no number",
        "count": 1,
        "first": [{"line": 1238, "key": "cem", "value": "'much'"}],
    }
    rows = "userId,event,timestamp,revenue", 'ana,Order Completed,2026-02-01T10:00:00Z,"1,5"'
    path = written(tmp_path, *rows, name="orders.csv")
    assert run(["events", "import", str(path), "--project", str(project)]) == 0
    assert (
        "`revenue` of 1 event is no number and was left empty: line 2, ana: '1,5'" in capsys.readouterr().out
    )


def test_an_import_tells_what_will_not_happen(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = project / "journeys" / "catalog.yaml"
    with catalog.open("a", encoding="utf-8") as file:
        file.write(
            'segments: {quiet: {when: days_since("Order Completed") >= 60}, pro: {when: contact.plan == "pro"}}\n'
        )
    path = written(tmp_path, track())
    assert run(["events", "import", "--live", str(path), "--project", str(project)]) == 0
    assert "  but time alone also brings people into `quiet`, and these enter;" in capsys.readouterr().out
    path = written(tmp_path, track(event="Order completed", messageId="m2"))
    for line in (
        "  1 event is older than 24 hours: it starts nothing, unless `run --virtual` lives that time\n",
        "1 already there",
    ):
        assert run(["events", "import", "--live", str(path), "--project", str(project)]) == 0
        printed = capsys.readouterr().out
        assert line in printed
        assert 'kept but not read: event "Order completed" 1 (did you mean "Order Completed"?)' in printed
        assert "`quiet`" not in printed
    assert "older" not in printed
