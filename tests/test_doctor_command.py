"""``journeys doctor`` by command: what it says of a project, its settings, its database and its channels."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from servers import AUTHORITY, PASSWORD, USER, an_smtp_server, free_port
from sqlalchemy import text, update

from runner.cli import run
from runner.settings import default_database
from runner.store.database import Database
from runner.store.migrations import revisions
from runner.store.tables import zone_offset
from tests.shop import FILES, START, Shop
from tests.written import write_files

SECRET = "whsec_" + "QUJD" * 10


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The shop as a project that was applied to its own database."""
    folder = tmp_path / "shop"
    write_files(folder, FILES)
    database = Database.open(default_database(folder))
    Shop(database)
    database.close()
    return folder


Doctor = Callable[..., tuple[int, dict[str, dict[str, Any]]]]


@pytest.fixture
def doctor(project: Path, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Asks the doctor about the project: the exit code, and the findings by their codes."""

    def ask(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
        capsys.readouterr()
        code = run(["doctor", "--project", str(project), "--patience", "0", "--format", "json", *arguments])
        found = json.loads(capsys.readouterr().out)["findings"]
        return code, {one["code"]: one for one in found}

    return ask


def configure(project: Path, settings: str) -> None:
    (project / "journeys.yaml").write_text(settings, encoding="utf-8")


def test_a_healthy_project(project: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--project", str(project)]) == 0
    assert capsys.readouterr().out == (
        "note: its messages are written to files and reach nobody [channel/file]\n"
        "  where  channel email (file), journeys greet\n"
        "  mend   set `channels: email:` in journeys.yaml when it is to be real\n"
        "\n"
        "Nothing is wrong (1 note).\n"
    )
    assert doctor("--strict")[0] == 0


def test_a_link_of_a_live_message_leads_nowhere(project: Path, doctor: Doctor) -> None:
    """Only one that a message carries, and only where messages are really sent."""
    catalog = project / "journeys/catalog.yaml"
    catalog.write_text(
        catalog.read_text(encoding="utf-8") + "links: {domain: links.shop.example}\n", encoding="utf-8"
    )
    journey = project / "journeys/greet/journey.yaml"
    message = next((project / "journeys/greet").glob("*.html"))
    steps = journey.read_text(encoding="utf-8")

    def found(head: str, link: str) -> dict[str, Any] | None:
        journey.write_text(
            steps.replace("steps:", f"{head}links: {{stop: {{exit: stopped}}}}\nsteps:"), encoding="utf-8"
        )
        text = message.read_text(encoding="utf-8").split("<!--")[0]
        message.write_text(text + f"<!-- --><p>{link}</p>\n", encoding="utf-8")
        assert run(["apply", "--project", str(project)]) == 0
        return doctor()[1].get("links/unserved")

    assert found("", "") is None
    told = found("", "{{ links.stop }}")
    assert told is not None
    assert (told["level"], told["where"]) == ("warning", "journey greet, links stop")
    assert found("delivery: shadow\n", "{{ links.stop }}") is None


def test_no_project(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--project", str(tmp_path)]) == 4
    assert "`journeys init` makes a project" in capsys.readouterr().err


def test_a_project_that_was_never_applied_is_not_given_a_database(project: Path, doctor: Doctor) -> None:
    shutil.rmtree(project / ".journeys")
    assert doctor()[0] == 0
    code, found = doctor("--strict")
    assert (code, list(found)) == (1, ["database/missing"])
    assert not (project / ".journeys").exists()


def test_settings_that_cannot_be_loaded(project: Path, doctor: Doctor) -> None:
    configure(project, "database: postgresql://shop:${NO_SUCH_VARIABLE}@db/shop\n")
    code, found = doctor()
    assert (code, list(found)) == (1, ["settings/unreadable"])
    finding = found["settings/unreadable"]
    assert finding["what"] == "The environment variable NO_SUCH_VARIABLE is not set"
    assert finding["where"] == "journeys.yaml:1"
    assert finding["mend"].startswith("set the variable")
    configure(project, "chanels: {}\n")
    finding = doctor()[1]["settings/unreadable"]
    assert (finding["where"], finding["mend"]) == ("journeys.yaml:1", "Did you mean `channels`?")


def test_a_database_without_its_settings(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doctor: Doctor
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code, found = doctor("--database", default_database(project), "--project", str(elsewhere))
    assert (code, list(found)) == (0, ["settings/none"])


DKIM = """
channels:
  email:
    smtp:
      host: 127.0.0.1
      dkim: {{domain: {}, selector: s, key_file: key.pem}}
"""


def test_a_secret_that_is_none_is_told_with_its_place_and_how_one_is_made(
    project: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(
        project, 'channels:\n  email:\n    webhook: {url: "https://shop.example", secret: "${SHORT}"}\n'
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SHORT", "abc")
        code, found = doctor()
        assert run(["run", "--once", "--project", str(project)]) == 1
    assert (code, found["channel/settings"]["where"]) == (
        1,
        "journeys.yaml:3, channel email (webhook), journeys greet",
    )
    told = capsys.readouterr().err
    assert "Error: journeys.yaml:2: channel email: secret must be" in told
    assert "openssl rand -base64 24" in told


def test_a_key_that_is_missing_is_told_with_its_place(project: Path, doctor: Doctor) -> None:
    configure(project, DKIM.format("shop.example"))
    code, found = doctor()
    finding = found["channel/settings"]
    assert (code, finding["where"]) == (1, "journeys.yaml:6, channel email (smtp), journeys greet")
    assert (
        finding["mend"]
        == "correct `dkim` of channel `email` in journeys.yaml; docs/reference.md has the options"
    )


@pytest.mark.parametrize(
    ("domain", "signs"),
    [("SHOP.example", True), ("other.example", False), ("op.example", False), ("mail.shop.example", False)],
)
def test_a_key_must_be_of_the_domain_of_the_sender_or_above_it(
    project: Path, doctor: Doctor, domain: str, signs: bool
) -> None:
    configure(project, DKIM.format(domain))
    found = doctor()[1]
    assert ("channel/dkim" not in found) == signs
    if not signs:
        assert f"mails from shop.example are signed (DKIM) by {domain} alone" in found["channel/dkim"]["what"]


def test_a_database_that_fails_when_it_is_asked(project: Path, doctor: Doctor) -> None:
    database = Database.open(default_database(project))
    with database.begin() as connection:
        connection.execute(text("PRAGMA writable_schema = ON"))
        connection.execute(text("UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'ix_run_due'"))
    database.close()
    code, found = doctor()
    assert (code, list(found)) == (1, ["database/unreachable"])
    assert "malformed" in found["database/unreachable"]["what"]


@pytest.fixture
def undo() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _drop(database: Database, role: str) -> None:
    with database.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


def test_a_database_that_cannot_serve_is_told(
    project: Path, doctor: Doctor, shared: Database, monkeypatch: pytest.MonkeyPatch, undo: ExitStack
) -> None:
    url = shared.engine.url.set(drivername=shared.dialect)
    if shared.dialect == "sqlite":
        # The superuser who runs the tests may write whatever the rights say.
        monkeypatch.setattr("os.access", lambda _path, mode: mode != os.W_OK)
    else:
        with shared.begin() as connection:
            schema = connection.execute(text("SELECT current_schema()")).scalar_one()
            connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)"))
            connection.execute(
                text("INSERT INTO alembic_version VALUES (:newest)"), {"newest": revisions()[-1].id}
            )
            role = f"{schema}_reads"
            connection.execute(text(f"CREATE ROLE {role} LOGIN"))
            connection.execute(text(f"ALTER ROLE {role} SET search_path = {schema}"))
            connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {role}"))
            connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"))
            undo.callback(_drop, shared, role)
        url = url.set(username=role)
    configure(project, f"database: {url.render_as_string(hide_password=False)}\n")
    code, found = doctor()
    assert code == 1, found
    assert found["database/read-only"]["level"] == "error"
    with shared.begin() as connection:
        connection.execute(text("DROP TABLE suppressed_address"))
    code, found = doctor()
    assert (code, list(found)) == (1, ["database/tables"])
    assert found["database/tables"]["what"] == "tables are missing: suppressed_address"


def test_a_database_that_cannot_be_reached(project: Path, doctor: Doctor) -> None:
    configure(project, f"database: postgresql://shop:${{SECRET_OF_IT}}@127.0.0.1:{free_port()}/shop\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_OF_IT", "hunter2")
        code, found = doctor()
    assert (code, list(found)) == (1, ["database/unreachable"])
    assert "refused" in found["database/unreachable"]["what"]
    assert "hunter2" not in json.dumps(found)


def test_migrations_that_are_missing_and_ones_that_are_too_new(doctor: Doctor, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/other.db"
    database = Database.open(url)
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert doctor("--database", url)[1].keys() == {"database/behind"}
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    code, found = doctor("--database", url)
    assert (code, found["database/ahead"]["level"]) == (0, "note")
    with database.begin() as connection:
        connection.execute(text("UPDATE deployment SET oldest_software = '9998'"))
    database.close()
    code, found = doctor("--database", url)
    assert (code, list(found)) == (1, ["database/too-new"])
    assert "software must know revision 9998" in found["database/too-new"]["what"]


def test_files_that_differ_from_what_is_in_force(project: Path, doctor: Doctor) -> None:
    path = project / "journeys/greet/journey.yaml"
    path.write_text(path.read_text().replace("wait: 1d", "wait: 2d"))
    code, found = doctor("--strict")
    assert (code, found["journeys/differ"]["where"]) == (0, "greet")


def test_what_is_overdue_ends_with_1(project: Path, doctor: Doctor) -> None:
    database = Database.open(default_database(project))
    Shop(database).sign_up("ana")
    database.close()
    code, found = doctor()
    assert code == 1
    assert found["ticks/stalled"]["since"] == (START + timedelta(days=1)).isoformat().replace("+00:00", "Z")


def test_zones_are_refreshed_when_asked_to(
    project: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str]
) -> None:
    database = Database.open(default_database(project))
    with database.begin() as connection:
        connection.execute(update(zone_offset).values(offset=zone_offset.c.offset + 1))
    database.close()
    assert "zones/outdated" in doctor()[1]
    assert run(["doctor", "--project", str(project), "--refresh-zones"]) == 0
    assert "Stored anew: Asia/Tbilisi." in capsys.readouterr().err
    assert "zones/outdated" not in doctor()[1]


@pytest.mark.parametrize(
    ("settings", "code", "what"),
    [
        ("smtp: {{host: 127.0.0.1, port: {free}, tls: none}}", "channel/unreachable", "refused"),
        (
            "webhook: {{url: 'https://no-such-host.invalid/', secret: '{secret}'}}",
            "channel/unreachable",
            "no addr",
        ),
        (
            "webhook: {{url: 'https://localhost:{free}/', secret: '{secret}'}}",
            "channel/unreachable",
            "private",
        ),
        ("webhook: {{url: 'http://shop.example/', secret: '{secret}'}}", "channel/settings", "must be https"),
        ("file: {{folder: journeys.yaml}}", "channel/settings", "exists"),
    ],
)
def test_channels_that_do_not_get_through(
    project: Path, doctor: Doctor, settings: str, code: str, what: str
) -> None:
    written = settings.format(free=free_port(), secret=SECRET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SECRET_OF_IT", SECRET)
        configure(project, f"channels:\n  email:\n    {written.replace(SECRET, '${SECRET_OF_IT}')}\n")
        exit_code, found = doctor()
    assert exit_code == 1
    assert what in found[code]["what"]
    assert SECRET not in json.dumps(found)


def test_settings_of_a_channel_that_nobody_declares(project: Path, doctor: Doctor) -> None:
    configure(project, "channels:\n  emial: {file: {folder: letters}}\n")
    code, found = doctor()
    assert code == 1
    told = found["settings/channel"]
    assert told["what"] == "The catalog has no channel `emial`"
    assert (told["where"], told["mend"]) == ("journeys.yaml:2", "Did you mean `email`?")
    # On a machine that only runs there are no files, and what is in force says which channels there are.
    shutil.rmtree(project / "journeys")
    assert "settings/channel" in doctor()[1]
    configure(project, "channels:\n  email: {file: {folder: letters}}\n")
    assert "settings/channel" not in doctor()[1]


def test_a_mail_server_that_takes_the_login_and_one_that_does_not(project: Path, doctor: Doctor) -> None:
    with an_smtp_server() as server, pytest.MonkeyPatch.context() as patch:
        configure(
            project,
            f"channels:\n  email:\n    smtp: {{host: localhost, port: {server.port}, user: {USER},"
            f" password: '${{SMTP_PASSWORD}}', ca_file: {AUTHORITY}}}\n",
        )
        patch.setenv("SMTP_PASSWORD", PASSWORD)
        assert doctor() == (0, {})
        patch.setenv("SMTP_PASSWORD", "wrong")
        code, found = doctor()
        assert (code, "535" in found["channel/unreachable"]["what"]) == (1, True)
        assert server.envelopes == []
