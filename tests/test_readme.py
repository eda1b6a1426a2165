"""What the README shows is what happens."""

import json
import re
import shlex
import shutil
from contextlib import chdir, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import yaml
from in_mlflow import InMlflow

from evalkit import cli
from evalkit.demo.project import BASELINE_ID, EVAL_NAME, RUN_ID, write_project
from evalkit.demo.tour import WOULD_SEND

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text("utf-8")
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(match[1], match[2]) for match in FENCED.finditer(TEXT)]
RUN = f"--run-id {RUN_ID}"


def in_blocks(language):
    return [content for kind, content in BLOCKS if kind == language]


def commands():
    """Every evalkit command that a reader may type."""
    typed = [line for text in in_blocks("sh") for line in text.splitlines()]
    typed += [line for text in in_blocks("console") for line in text.splitlines() if line[0] == "$"]
    typed += re.findall(r"`(evalkit [^`]+)`", TEXT)
    found = (re.search(r"\bevalkit [^&|#]+", line) for line in typed)
    return sorted({match[0].strip() for match in found if match})


def test_the_first_screen_has_the_two_commands_and_then_the_picture():
    kinds = [kind for kind, _ in BLOCKS]
    assert kinds[:4] == ["sh", "sh", "sh", "mermaid"]
    see, check = (content for _, content in BLOCKS[:2])
    assert see == "python3 -m pip install uv && uv run --no-dev evalkit demo\n"
    assert check == ".ci/run\n"
    assert (ROOT / ".ci/run").read_text("utf-8").endswith("\nuv run pytest\n")
    first_screen = "\n".join(TEXT.splitlines()[:30])
    assert see in first_screen
    assert check in first_screen
    assert TEXT.index("```mermaid") < TEXT.index("\n## ")


def test_every_stage_is_listed_and_each_command_can_be_read():
    found = [shlex.split(command)[1:] for command in commands()]
    assert set(cli.STAGES) <= {arguments[0] for arguments in found}
    for arguments in found:
        if not arguments[0].startswith("-"):
            assert cli.read_command(arguments), arguments


def test_every_file_that_is_named_is_there():
    named = re.findall(r"\]\(((?!https?:|#)[^)]+)\)", TEXT)
    named += re.findall(r"`?python ((?:tests|notebooks)/[\w/]+\.py)", TEXT)
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
    heads = re.findall(r"^#+ (.+)", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors


# -- on the demo project ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(empty_database, tmp_path_factory):
    """The demo project, its database there already."""
    folder = tmp_path_factory.mktemp("readme") / "demo"
    write_project(folder)
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


@pytest.fixture(scope="module")
def outputs(project):
    """What each command says, run one after the other in the project's folder."""
    mlflow = InMlflow(f"sqlite:///{project}/mlflow.db", EVAL_NAME)

    def people_speak():
        for case, (value, _) in WOULD_SEND.items():
            mlflow.say(case, "would_send", value)

    before = {
        "sync-dataset --dry-run": lambda: ask_differently(project),
        f"pull-feedback {RUN}": people_speak,
    }
    stages = ("check", "map", "sync-dataset", "sync-dataset --dry-run", f"log-results {RUN}")
    more = (f"push-feedback {RUN}", f"pull-feedback {RUN}")
    said = {}
    with chdir(project):
        for stage in (*stages, *more, f"compare {RUN_ID} --baseline {BASELINE_ID}"):
            before.get(stage, lambda: None)()
            said[f"evalkit {stage}"] = [settled(line) for line in output(stage).splitlines()]
    return said


def output(command, code=0):
    """What a command says on stdout."""
    with redirect_stdout(StringIO()) as out:
        assert cli.main(shlex.split(command)) == code
    return out.getvalue()


def ask_differently(project):
    path = project / "eval/cases/charged-twice/input.yaml"
    path.write_text(path.read_text("utf-8").replace("message: >-\n", "message: >-\n  Hello!\n", 1))


def settled(line):
    """A line without what differs from run to run."""
    return re.sub(r"[0-9a-f]{32}", "ID", line.rstrip())


def shown():
    """Each command of the README with the lines that it shows of its output."""
    for block in in_blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, *lines = part.splitlines()
            yield command, [settled(line) for line in lines if "MLflow" not in line]


def test_what_is_shown_is_what_is_said(outputs):
    for command, lines in shown():
        missing = [line for line in lines if line not in outputs.get(command, [])]
        assert missing == [], "\n".join(outputs[command])


def test_the_python_runs(project):
    (code,) = in_blocks("python")
    found = {}
    with chdir(project):
        exec(compile(code, "README.md", "exec"), found)  # noqa: S102 - our own README
    assert found["report"]["traces"] == 12


OPTIONS = {"history": "--judge resolution", "export-cases": "exported --as evals-json"}


def test_the_reports_hold_what_the_table_says(project):
    rows = re.findall(r"^\| `evalkit ([\w-]+)[^|]*` \| (`.*`) \|$", TEXT, re.MULTILINE)
    on_the_project = [row for row in rows if row[0] != "agent"]  # the agent's tests read its own
    assert len(on_the_project) == 9
    with chdir(project):
        for stage, keys in on_the_project:
            own = RUN if stage.endswith(("feedback", "results")) else OPTIONS.get(stage, "")
            report = json.loads(output(f"{stage} {own} --json").splitlines()[-1])
            found = report["runs"][0] | report if stage == "history" else report
            assert set(re.findall(r"`(\w+)`", keys)) - {"pass_rate"} <= set(found)


def test_the_commands_of_the_pull_requests_job_end_as_they_say(project):
    steps = yaml.safe_load(in_blocks("yaml")[0])["jobs"]["gate"]["steps"]
    own = [step["run"] for step in steps if step.get("run", "").startswith("evalkit ")]
    everything, gate = (command.removeprefix("evalkit ").replace("$RUN", RUN_ID) for command in own)
    assert (everything.split()[0], gate.split()[0]) == ("all", "gate")
    with chdir(project):
        output(f"{everything} --mapping tmp/schema_mapping.json")
        output(gate, code=1)  # it misses thresholds
        assert Path("comment.md").read_text("utf-8").startswith("<!-- evalkit gate: ")
