"""The settings of a deployment: defaults, variables, and secrets that stay out of files and logs."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from channels.smtp import SmtpSettings
from runner.problem import ProblemsFound
from runner.review.reporters import text_report
from runner.settings import Limits, check_settings, load_settings


def write(folder: Path, text: str) -> Path:
    (folder / "journeys.yaml").write_text(text, encoding="utf-8")
    return folder


def test_without_a_file_there_is_sqlite_in_the_project(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    assert settings.database_url == f"sqlite:///{tmp_path}/.journeys/journeys.db"
    assert settings.channels == {}
    assert settings.limits == Limits()


def test_a_relative_path_starts_from_the_project(tmp_path: Path) -> None:
    write(tmp_path, "database: sqlite:///data/people.db")
    assert load_settings(tmp_path, {}).database_url == f"sqlite:///{tmp_path}/data/people.db"
    write(tmp_path, "database: sqlite:////var/people.db")
    assert load_settings(tmp_path, {}).database_url == "sqlite:////var/people.db"


def test_variables_are_read_from_the_environment(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
database: postgresql://shop:${DB_PASSWORD}@db.example/shop
base_url: https://journeys.shop.example
listen: "127.0.0.1:${PORT}"
channels:
  email: {smtp: {host: mail.example, port: 2525, user: "${MAIL_USER}", password: "${MAIL_PASSWORD}", timeout: 1.5}}
  chat: {webhook: {url: https://chat.example/in, secret: "${CHAT_SECRET}"}}
  letters: {file: {folder: letters}}
limits: {tick_every: 500s, connections: 2, grace: 1m}
""",
    )
    environ = {"DB_PASSWORD": "p@ss/word", "MAIL_USER": "ana", "MAIL_PASSWORD": "m", "CHAT_SECRET": "whsec_x"}
    environ["PORT"] = "9464"
    settings = load_settings(tmp_path, environ)
    assert settings.database_url == "postgresql://shop:p%40ss%2Fword@db.example/shop"
    assert settings.base_url == "https://journeys.shop.example"
    assert settings.listen == "127.0.0.1:9464"
    assert settings.channels == {
        "email": {
            "uses": "smtp", "host": "mail.example", "port": 2525, "user": "ana", "password": "m", "timeout": 1.5,
        },
        "chat": {"uses": "webhook", "url": "https://chat.example/in", "secret": "whsec_x"},
        "letters": {"uses": "file", "folder": "letters"},
    }  # fmt: skip
    assert settings.limits == Limits(
        tick_every=timedelta(seconds=500), connections=2, grace=timedelta(minutes=1)
    )


def test_a_whole_url_may_come_from_a_variable(tmp_path: Path) -> None:
    write(tmp_path, "database: ${DATABASE_URL}")
    settings = load_settings(tmp_path, {"DATABASE_URL": "postgresql://a:b%40c@d/e"})
    assert settings.database_url == "postgresql://a:b%40c@d/e"


def test_a_variable_that_is_not_set_is_told_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, "database: postgresql://shop:${DB_PASSWORD}@db.example/shop\n")
    assert check_settings(tmp_path)[0] == ()
    with pytest.raises(ProblemsFound) as found:
        load_settings(tmp_path, {})
    (problem,) = found.value.problems
    assert problem.message == "The environment variable DB_PASSWORD is not set."
    assert (problem.span.line, problem.span.column, problem.span.length) == (1, 29, 14)


@pytest.mark.parametrize(
    "text",
    [
        "database: postgresql://shop:hunter2@db.example/shop",
        "database: postgresql://db.example/shop?user=a&password=hunter2",
        "database: mysql://shop:hunter2@db.example/shop",
        "channels: {email: {smtp: {host: a, password: hunter2}}}",
        "channels: {email: {smtp: {host: a, password: 'x${NAME}hunter2'}}}",
        "channels: {chat: {webhook: {url: https://a.example, secret: hunter2}}}",
    ],
)
def test_a_literal_secret_is_an_error_that_does_not_repeat_it(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    problems, source = check_settings(tmp_path)
    assert "settings/secret" in {problem.code for problem in problems}
    shown = text_report(problems, {"journeys.yaml": source})
    assert "hunter2" not in shown
    with pytest.raises(ProblemsFound) as found:
        load_settings(tmp_path, {})
    assert "hunter2" not in str(found.value) + str(found.value.sources)


@pytest.mark.parametrize(
    "option",
    [
        "host: mail..shop.example",
        f"host: {'a' * 64}.example",
        "host: mail example",
        "host: h, local_hostname: münchen",
    ],
)
def test_a_name_that_no_mail_server_can_have_is_said_where_it_stands(tmp_path: Path, option: str) -> None:
    write(tmp_path, f"channels:\n  email:\n    smtp: {{{option}}}\n")
    (problem,) = check_settings(tmp_path)[0]
    assert problem.span.line == 3
    assert re.search("is not a (server's name|name in ASCII)", problem.message)


@pytest.mark.parametrize("host", ["mail.example.", "::1", "postfix", "${MAIL_HOST}", "მარანი.example"])
def test_a_name_that_a_mail_server_can_have_is_none_of_these(tmp_path: Path, host: str) -> None:
    write(tmp_path, f'channels: {{email: {{smtp: {{host: "{host}"}}}}}}\n')
    assert not check_settings(tmp_path)[0]
    assert SmtpSettings(host=host)


@pytest.mark.parametrize(
    ("dkim", "found"),
    [
        ("{domain: shop.example, selector: s}", ["A DKIM key needs one of `key_file` or `key`."]),
        (
            "{domain: shop.example, selector: s, key_file: a, key: '${KEY}'}",
            ["A DKIM key has one of `key_file` or `key`; this one has `key_file` and `key`."],
        ),
        (
            "[{domain: shop.example, selector: s, key_file: a}, {domain: shop.example, selector: t}]",
            ["A DKIM key needs one of `key_file` or `key`."],
        ),
        ("{domain: shop.example, selector: s, key: '${KEY}'}", []),
    ],
)
def test_a_dkim_key_is_in_one_place(tmp_path: Path, dkim: str, found: list[str]) -> None:
    write(tmp_path, f"channels: {{email: {{smtp: {{host: mail, dkim: {dkim}}}}}}}\n")
    assert [problem.message for problem in check_settings(tmp_path)[0]] == found


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ("tick_every: 0s", ["`tick_every` must be more than nothing."]),
        ("tick_every: PT0S", ["`tick_every` must be more than nothing."]),
        ("tick_every: -5s", ["`tick_every` may not be negative."]),
        ("grace: -1m", ["`grace` may not be negative."]),
        ("tick_every: 10s, grace: 0s", []),
        ("tick_every: PT10S", []),
    ],
)
def test_nobody_looks_for_work_without_a_pause(tmp_path: Path, limits: str, found: list[str]) -> None:
    write(tmp_path, f"limits: {{{limits}}}\n")
    assert [problem.message for problem in check_settings(tmp_path)[0]] == found


def test_a_database_in_memory_is_refused(tmp_path: Path) -> None:
    for url in ("sqlite://", "sqlite:///:memory:"):
        write(tmp_path, f'database: "{url}"')
        assert [problem.code for problem in check_settings(tmp_path)[0]] == ["settings/database"]


def test_what_is_wrong_is_told_in_the_order_of_the_lines(tmp_path: Path) -> None:
    write(tmp_path, "database: sqlite://\nlimits: {tick_every: 5}\nlisen: here\n")
    problems, _ = check_settings(tmp_path)
    assert [problem.span.line for problem in problems] == [1, 2, 3]
    assert "5s (seconds)" in str(problems[1].hint)
