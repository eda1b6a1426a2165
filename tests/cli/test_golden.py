"""What every command says of itself, and how it ends on wrong input, as it was recorded."""

import json
import os
from pathlib import Path

import pytest
from eval_project import RUN_ID

from evalkit.cli import main

GOLDEN = Path(__file__).parents[1] / "golden"
COMMANDS = (
    *("check", "map", "sync-dataset", "log-results", "push-feedback", "pull-feedback", "all"),
    *("compare", "gate", "history", "import", "export-cases", "demo", "agent", "open", "export"),
)
RUN = ["--run-id", RUN_ID]
DIR = f"eval/runs/support/{RUN_ID}"
ABSENT = ["--tracking-uri", "http://127.0.0.1:9"]
CASES: list[tuple[dict[str, str | None], list[str]]] = [
    *(({"eval.yaml": None}, [*name.split(), *ABSENT]) for name in ("check", "map", "sync-dataset")),
    ({}, ["check", *ABSENT]),
    *(
        ({}, [name, *(RUN if name != "sync-dataset" else []), *strict, *ABSENT])
        for name in ("sync-dataset", "log-results", "push-feedback", "pull-feedback", "all")
        for strict in ([], ["--strict"])
    ),
    ({}, ["agent", "-e", "0", "--model", "offline", *ABSENT]),
    ({"eval.yaml": "name: [x\n"}, ["check"]),
    ({"eval.yaml": "name: a\nname: b\njudges: 3\ndataset: [1]\n"}, ["check"]),
    ({"eval.yaml": "name: x\nexecution:\n  mode: sometimes\njudges: none\n"}, ["map"]),
    ({}, ["log-results", "--run-id", "no-such-run"]),
    ({}, ["all", "--run-id", "../../etc"]),
    ({}, ["log-results", *RUN, "--runs-dir", "nowhere"]),
    ({f"{DIR}/summary.yaml": "judges: [\n"}, ["log-results", *RUN]),
    ({f"{DIR}/summary.yaml": "judges: 3\nper_case: [1]\n"}, ["log-results", *RUN]),
    ({f"{DIR}/run_result.json": "{"}, ["log-results", *RUN]),
    ({f"{DIR}/review.yaml": "feedback: [1]\n"}, ["push-feedback", *RUN]),
    ({f"{DIR}/review.yaml": "feedback: {\n"}, ["pull-feedback", *RUN]),
    ({f"{DIR}/cases/beta/stdout.log": '{"type": "x"}\n'}, ["log-results", *RUN]),
    ({f"{DIR}/cases/beta/stdout.log": '{"type": "x"}\n'}, ["log-results", *RUN, "--strict"]),
    ({}, ["compare"]),
    ({}, ["gate", *RUN, *ABSENT]),
    ({}, ["history", "--judge", "polite", *ABSENT]),
    ({}, ["import"]),
    ({}, ["import", "absent.jsonl"]),
    ({}, ["export-cases", "there"]),
    ({}, ["export-cases", "there", "--as", "csv"]),
    ({"tmp/schema_mapping.json": "{"}, ["sync-dataset"]),
    ({"tmp/schema_mapping.json": '{"inputs": {"a": "x.yaml:y"}}'}, ["sync-dataset"]),
    ({"tmp/schema_mapping.json": '{"inputs": {"a": "../x:y"}, "more": 1}'}, ["sync-dataset"]),
    ({}, ["sync-dataset", "--mapping", "absent.json"]),
    ({"cases/beta/input.yaml": "prompt: [\n"}, ["sync-dataset"]),
    ({}, ["map"]),
    ({}, ["map", "--by", "nobody"]),
    ({}, ["map", "--by", "claude"]),
    ({}, ["log-results"]),
    ({}, ["log-results", "--run-id"]),
    ({}, ["log-results", "--run", RUN_ID]),
    ({}, ["sync-dataset", "--run-id", "x"]),
    ({}, ["push-feedback", *RUN, "--source", "nobody"]),
    ({}, ["no-such-stage"]),
    ({}, []),
    ({}, ["agent", "-a", "-i"]),
    ({}, ["agent", "--max-cost", "much"]),
    ({}, ["agent", "--max-cost", "0", "--session-turns", "-1", "--secret-key", "k"]),
    ({}, ["agent", "--pass-env", "A=1", "--model", "offline"]),
    ({}, ["agent", "-e", "none of that name", "--model", "offline"]),
    ({}, ["agent", "--session", "../x", "--model", "offline"]),
    ({}, ["open", "no-such-stage", "--no-browser"]),
    ({}, ["open", "--port", "many", "--no-browser"]),
    ({"out/map_dataset.ipynb": "{}"}, ["export", "out"]),
    ({}, ["export"]),
    ({"evalkit-demo/eval.yaml": "name: mine\n"}, ["demo"]),
]


def compare(name: str, found: object) -> None:
    """Hold what was found against what was recorded; GOLDEN_WRITE=1 records it."""
    file = GOLDEN / name
    if "GOLDEN_WRITE" in os.environ:
        file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    assert found == json.loads(file.read_text("utf-8"))


def test_every_command_says_what_it_takes(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    said = {}
    for name in ("", *COMMANDS):
        with pytest.raises(SystemExit, match="0"):
            main([*name.split(), "--help"])
        said[name] = capsys.readouterr().out.splitlines()
    compare("help.json", said)


def test_wrong_input_ends_as_it_was_recorded(evalkit, project, monkeypatch):
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "MODEL"):
        monkeypatch.delenv(name, raising=False)
    found = []
    for files, argv in CASES:
        kept = {name: put(project, name, text) for name, text in files.items()}
        done = evalkit(*argv, **({"uri": ABSENT[1]} if ABSENT[1] in argv else {}))
        for name, before in kept.items():
            put(project, name, before)
        report = done.report
        parts = {key: part for key, part in report.items() if isinstance(part, dict)}
        problems = report.get("problems", [])
        found.append(
            {
                "argv": " ".join(argv),
                **({"files": files} if files else {}),
                "code": done.code,
                "keys": sorted(report),
                "skipped": {
                    key: True for key, part in parts.items() if part.get("skipped") is True
                },
                "problems": [f"{p['file']}:{p['line'] or ''}:{p['field']}" for p in problems],
            }
        )
        assert "Traceback" not in done.err
    told = json.dumps(found).replace(str(project.root), "ROOT")
    compare("endings.json", json.loads(told))


def put(project, name, text):
    """Write a file, or remove it where there is no text; what stood there before."""
    before = project.read(name) if (project.root / name).exists() else None
    if text is not None:
        project.write(name, text)
    elif before is not None:
        project.remove(name)
    return before
