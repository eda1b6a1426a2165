"""The benchmark's project: as large as asked for, the same each time, readable by evalkit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evalkit.documents import parse_json, parse_yaml
from evalkit.project import read_project
from evalkit.runs.metrics import thresholds
from evalkit.runs.results import read_run

GENERATOR = Path(__file__).parents[1] / "bench" / "generate.py"


def generate(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(GENERATOR), str(directory), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def logs(directory: Path) -> list[Path]:
    return sorted(directory.glob("eval/runs/*/*/cases/*/stdout.log"))


@pytest.mark.parametrize("events", ["6", "7", "60"])
def test_logs_have_exactly_the_events_asked_for(tmp_path: Path, events: str) -> None:
    assert generate(tmp_path, "--cases", "2", "--events", events).returncode == 0

    assert [len(log.read_text().splitlines()) for log in logs(tmp_path)] == [int(events)] * 2


def test_two_runs_write_the_same_and_evalkit_reads_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for directory in (one, two):
        assert generate(directory, "--cases", "3", "--judges", "7").returncode == 0

    def files(directory: Path) -> dict[Path, bytes]:
        found = (path for path in directory.rglob("*") if path.is_file())
        return {path.relative_to(directory): path.read_bytes() for path in found}

    assert files(one) == files(two)
    project = read_project(parse_yaml((one / "eval.yaml").read_text(), "eval.yaml"))
    folder = logs(one)[0].parents[2]
    run = read_run(
        folder.name,
        project,
        parse_yaml((folder / "summary.yaml").read_text(), "summary.yaml"),
        parse_json((folder / "run_result.json").read_text(), "run_result.json"),
    )
    assert project.tracking_uri == "http://127.0.0.1:5000"
    assert len(run.cases) == 3
    assert len(run.scores) == 3 * 7
    bounds = thresholds(project, run)
    assert [each.judge for each in bounds if each.verdict == "fails"] == ["order_quoted"]
    costs = [json.loads(log.read_text().splitlines()[-1])["total_cost_usd"] for log in logs(one)]
    assert run.usage.cost_usd == pytest.approx(sum(costs))


def test_one_large_log(tmp_path: Path) -> None:
    assert generate(tmp_path, "--log-mb", "1.5").returncode == 0

    (log,) = logs(tmp_path)
    assert 1_500_000 <= log.stat().st_size < 1_520_000
    assert "ghp_" in log.read_text()


@pytest.mark.parametrize("options", [["--events", "5"], []])
def test_too_few_events_and_a_full_folder_are_refused(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "something").touch()

    done = generate(tmp_path, *options)

    assert done.returncode == 2
    assert "error: " in done.stderr
