"""What is shipped to run it elsewhere names only what there is: files, commands, options, settings, metrics."""

from __future__ import annotations

import configparser
import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import ROOT
from prometheus_client.parser import text_string_to_metric_families
from watched import NOW, Process, at_once, seen

from runner.cli import COMMANDS
from runner.daemon.observe.lately import Lately
from runner.daemon.observe.metrics import Metrics
from runner.engine.tick import LIVE
from runner.settings import Limits
from runner.store.tables import MessageStatus

DEPLOY = ROOT / "examples" / "deploy"
UNIT = DEPLOY / "journeys.service"
CONTAINERFILE = ROOT / "Containerfile"
SECONDS = {"": 1, "s": 1, "min": 60, "h": 3600}


def understood(words: list[str]) -> dict[str, Any]:
    """The parameters that a command line of ours means. Raises what click raises."""
    command = import_module(COMMANDS[words[0]][0]).command
    context = command.make_context(words[0], words[1:], resilient_parsing=False)
    return dict(context.params)


# systemd -----------------------------------------------------------------------------------------------------------


def unit() -> dict[str, str]:
    """The keys of the section of the service, each with its last value."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT, encoding="utf-8")
    return dict(parser["Service"])


def seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)(s|min|h|)", text)
    assert match
    return int(match[1]) * SECONDS[match[2]]


def test_the_service_runs_a_command_that_there_is(tmp_path: Path) -> None:
    program, *words = shlex.split(unit()["ExecStart"])
    assert Path(program).name == "journeys"
    parameters = understood([str(tmp_path) if word == "/srv/journeys" else word for word in words])
    assert parameters["listen"] == "127.0.0.1:9464"


def test_the_service_gives_the_daemon_its_time() -> None:
    service = unit()
    assert seconds(service["TimeoutStopSec"]) > Limits.grace.total_seconds() + 5
    assert seconds(service["WatchdogSec"]) >= 30
    assert (service["Type"], service["KillSignal"], service["Restart"]) == ("notify", "SIGTERM", "always")


def test_systemd_understands_the_service(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed here")
    copy = tmp_path / UNIT.name
    program = shlex.split(unit()["ExecStart"])[0]
    copy.write_text(UNIT.read_text(encoding="utf-8").replace(program, sys.executable), encoding="utf-8")
    done = subprocess.run([analyze, "verify", copy], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# Containers --------------------------------------------------------------------------------------------------------


def instructions() -> Iterator[tuple[str, str]]:
    """The instructions of the container file, each with what follows it on its lines."""
    text = re.sub(r"(?m)^#.*\n", "", CONTAINERFILE.read_text(encoding="utf-8")).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        yield name, rest.strip()


def values(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def ignored(path: str) -> bool:
    """What the last pattern that fits says, as docker reads the file."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
        pattern = line.removeprefix("!")
        if line and not line.startswith("#") and fnmatch.fnmatch(path, pattern.removeprefix("**/")):
            verdict = not line.startswith("!")
    return verdict


def test_the_image_copies_what_there_is_and_docker_is_given_it() -> None:
    copied = [word for rest in values("COPY") if "--from" not in rest for word in rest.split()[:-1]]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert not ignored(name), name
    for name in (".git", ".venv", "journeys", "tests", "journeys.yaml"):
        assert ignored(name), name


def test_the_image_has_every_package_of_the_software() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    copied = " ".join(values("COPY")).split()
    for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]:
        assert pattern.rstrip("*") in copied
    for name in (project["project"]["readme"], *project["project"]["license-files"], "requirements.lock"):
        assert name in copied


def test_the_image_is_built_by_what_builds_the_software_and_by_hash() -> None:
    steps = " ".join(values("RUN"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in project["build-system"]["requires"]:
        assert re.search(rf"{re.escape(requirement)} --hash=sha256:[0-9a-f]{{64}}", steps)
    for step in re.split(r"&&", steps):
        if re.search(r"\bpip\b.* (install|download)\b", step):
            assert "--require-hashes" in step or "--no-index" in step, step


def test_the_image_runs_a_command_that_there_is_without_root() -> None:
    (entry,), (command,), (user,) = values("ENTRYPOINT"), values("CMD"), values("USER")
    assert json.loads(entry) == ["journeys"]
    parameters = understood(json.loads(command))
    assert (parameters["listen"], parameters["log_format"]) == ("0.0.0.0:9464", "json")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert values("STOPSIGNAL") == ["SIGTERM"]
    assert values("EXPOSE") == ["9464"]


def test_the_check_of_the_image_asks_for_health() -> None:
    (check,) = values("HEALTHCHECK")
    words = json.loads(check.partition("CMD")[2])
    assert words[:2] == ["python", "-c"]
    compile(words[2], "HEALTHCHECK", "exec")
    done = subprocess.run(
        [sys.executable, "-c", words[2].replace("9464", "1")], capture_output=True, timeout=30
    )
    assert done.returncode != 0
    assert "'/health'" in words[2]


# Prometheus --------------------------------------------------------------------------------------------------------

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


def samples() -> dict[str, set[str]]:
    """What a runner tells: the labels of each sample, by its name."""
    metrics = Metrics(clock=lambda: NOW)
    states = {(MessageStatus.SENT, None): 1}
    metrics.watch(Process(), at_once(seen), Lately(lambda: states))
    for name in ("journeys_delivery_latency_seconds", "journeys_tick_duration_seconds"):
        metrics.registry._names_to_collectors[name].labels("some").observe(1)  # type: ignore[attr-defined]
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(metrics.text()[0].decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(f"{k}={v}" for k, v in sample.labels.items())
            found[sample.name].update(sample.labels)
    return found


SAMPLES = samples()
PROMQL = {"absent", "by", "histogram_quantile", "increase", "le", "max", "m", "rate", "sum", "time"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_a_runner_tells(rule: dict[str, Any]) -> None:
    expression = rule["expr"]
    for name in re.findall(r"\b(?:journeys|process)_\w+", expression):
        assert name in SAMPLES, name
    for name, label, sign, value in re.findall(r'(\w+)\{(\w+)(=~?)"([^"]+)"\}', expression):
        for each in value.split("|") if sign == "=~" else [value]:
            assert f"{label}={each}" in SAMPLES[name], f"{label}={each}"
    bare = re.sub(r'"[^"]*"', "", expression)
    assert expression.count("(") == expression.count(")")
    words = set(re.findall(r"[a-z_]+", bare)) - PROMQL - set(SAMPLES)
    assert words <= {label for labels in SAMPLES.values() for label in labels}
    for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
        assert label in ("instance", *words, *SAMPLES[re.findall(r"journeys_\w+", expression)[0]]), label


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_how_to_mend_it(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "mend"}
    assert all(text.endswith(".") for text in rule["annotations"].values())
    for command in re.findall(r"`journeys ([a-z]+)", rule["annotations"]["mend"]):
        assert command in COMMANDS


def test_there_is_an_alert_before_a_lag_changes_what_people_get() -> None:
    (late,) = (rule for rule in RULES if rule["alert"] == "JourneysRunsLate")
    assert LIVE.late_after is not None
    assert float(late["expr"].rsplit(" ", 1)[1]) <= LIVE.late_after.total_seconds()
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_links_and_paths_of_the_page_lead_somewhere() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        assert (DEPLOY / target).exists(), target
    for name in re.findall(r"`([\w.]+\.(?:service|yaml))`", text):
        assert name == "journeys.yaml" or (DEPLOY / name).exists(), name
