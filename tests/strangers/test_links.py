"""Links within the project or its repository are followed, others are named and never read."""

import json
import os

import pytest
from eval_project import RUN_ID, log_of
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)
SECRET = "a secret of the machine"


@pytest.fixture
def outside(tmp_path):
    """Beside the project: what no link may lead to."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "secret.txt").write_text(SECRET)
    (place / "events.json").write_text("[]")
    (place / "agent-b2.jsonl").write_text("{}")
    (place / "input.yaml").write_text(f"prompt: {SECRET}\n")
    (place / "stdout.log").write_bytes(log_of(SECRET))
    return place


def link(project, path, target):
    place = project.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() or place.exists():
        project.remove(path)
    place.symlink_to(target)


# -- in cases ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "target"), [("docs/skill.md", "SKILL.md"), ("shared", "shared")])
def test_what_a_link_leads_to_within_the_project_is_read(evalkit, project, place, target):
    project.write("SKILL.md", "how to help")
    project.write("shared/skill.md", "how to help")
    link(project, f"cases/beta/{place}", project.root / target)
    name = place + ("/skill.md" if target == "shared" else "")
    mapping = {"inputs": {"prompt": "input.yaml:prompt"}}
    mapping |= {"expectations": {"skill": f"{name}:__file__"}}
    project.write("tmp/schema_mapping.json", mapping)
    done = evalkit("sync-dataset")
    assert (done.code, done.report["created"]) == (0, 3)


def test_a_link_may_lead_anywhere_in_the_git_repository(
    evalkit, project, outside, monkeypatch, database_uri
):
    (outside.parent / ".git").mkdir()
    link(project, "cases/beta/notes.md", outside / "secret.txt")
    monkeypatch.chdir(project.root)
    report = evalkit("map", "--force").report
    assert report["notes"] == []
    assert "notes.md:__file__" in report["reasons"]
    run = f"{project.run_dir}/cases"
    link(project, f"{run}/beta/stdout.log", outside / "stdout.log")
    for name in ("alpha", "gamma"):
        (outside / name).mkdir()
        (outside / name / "stdout.log").write_bytes(log_of(name, reply="from elsewhere"))
    link(project, f"{run}/gamma", outside / "gamma")
    assert evalkit("log-results", *RUN).code == 0
    there = InMlflow(database_uri)
    told = {case: trace.info.request_preview for case, trace in there.traces().items()}
    assert SECRET in told["beta"]
    trace = there.client.get_trace(there.traces()["gamma"].info.trace_id)
    assert "from elsewhere" in (trace.data.response or "")


def test_a_case_that_is_a_link_to_a_case_of_the_same_repository_is_read(
    evalkit, project, tmp_path, monkeypatch
):
    (tmp_path / ".git").mkdir()
    for case in ("alpha", "beta"):
        target = os.path.relpath(project.root / "cases" / case, project.root / "suite/cases")
        link(project, f"suite/cases/{case}", target)
    project.write("suite/eval.yaml", project.read("eval.yaml"))
    monkeypatch.chdir(project.root / "suite")
    assert evalkit("map").code == 0
    assert evalkit("sync-dataset").report["created"] == 2


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../../../outside/secret.txt", "leads out of"),
        ("/etc/hostname", "leads out of"),
        ("../../../outside", "leads out of"),
        ("../../.git/config", "leads out of"),
        ("nowhere", "a link to nothing"),
        ("loop", "leads"),
        ("..", "leads back"),
    ],
)
def test_a_link_that_is_not_followed_is_named_and_the_rest_goes_on(
    evalkit, project, outside, target, why
):
    assert outside.is_dir()
    project.write(".git/config", "[remote]\n")
    link(project, "cases/beta/loop", target)
    done = evalkit("map", "--force")
    assert done.code == 0
    assert [note for note in done.report["notes"] if note.startswith("beta/loop") and why in note]
    assert "secret" not in json.dumps(done.report)
    assert evalkit("check").code == 0
    done = evalkit("sync-dataset")
    assert (done.code, done.report["created"]) == (0, 3)
    assert "beta/loop" in done.err


def test_what_git_keeps_in_a_case_is_none_of_it(evalkit, project):
    project.write("cases/beta/.git/HEAD", "ref: refs/heads/main\n")
    project.write("cases/beta/notes/.gitkeep", "")
    assert "git" not in json.dumps(evalkit("map", "--force").report["reasons"])


@pytest.mark.parametrize("place", ["v1.2/input.yaml", ".agent/.state.d/ask.json", ".prompt.yaml"])
def test_dotted_folders_and_files_of_a_case_are_read(evalkit, project, place):
    project.remove("tmp/schema_mapping.json")
    for case in ("alpha", "beta", "gamma"):
        project.write(f"cases/{case}/{place}", {"wish": f"a wish of {case}"})
        project.remove(f"cases/{case}/input.yaml")
        project.remove(f"cases/{case}/expected.yaml")
    schema = f"{place}: wish, what the skill is asked"
    project.configure(dataset={"path": "cases", "schema": schema}, judges=[], thresholds={})
    done = evalkit("map")
    assert (done.code, done.report["inputs"]) == (0, {"wish": f"{place}:wish"}), done.err
    project.write(f"cases/login-v1.2.yaml/{place}", {"wish": "log in"})
    assert evalkit("sync-dataset").report["created"] == 4


# -- in runs ----------------------------------------------------------------------------------

LINKS = {  # where in the case's folder, whereto; what the trace shows; what is said
    "events.json": ("events.json", "beta is fine", "beta/events.json"),
    "subagents/agent-a1.jsonl": ("agent-b2.jsonl", "beta is fine", "beta/subagents/agent-a1.jsonl"),
    "subagents": ("", "beta is fine", "beta/subagents"),
    "input.yaml": ("input.yaml", "beta is fine", "beta/input.yaml"),
    "": ("", "link", "cases/beta"),
    "steps/polish/stdout.log": ("stdout.log", "link", "polish/stdout.log"),
    "output/other.md": ("secret.txt", "leads out of", ""),
}


@pytest.mark.parametrize("beside", LINKS)
def test_what_a_link_of_a_run_leads_out_to_is_not_read_and_that_is_said(
    project, evalkit, database_uri, outside, beside
):
    target, shown, said = LINKS[beside]
    base = f"{project.run_dir}/cases/beta"
    if beside.startswith("steps"):
        project.write(f"{base}/steps/draft/stdout.log", log_of("draft", reply="drafted"))
    if beside.startswith("output"):
        project.unlog("beta")
        project.write(f"{base}/output/answer.md", "the answer of beta")
    link(project, f"{base}/{beside}".rstrip("/"), outside / target)
    logged = evalkit("log-results", *RUN)
    assert (logged.code, logged.report["traces"]) == (0, 3)
    there = InMlflow(database_uri)
    trace = there.client.get_trace(there.traces()["beta"].info.trace_id)
    told = str([span.to_dict() for span in trace.data.spans])
    assert shown in told
    assert said in logged.err
    assert SECRET not in told + logged.out + logged.err
    assert beside or list(logged.report["receipt"]["refused"]) == ["beta"]
    assert "please handle beta" in trace.data.request
    assert len(there.client.get_trace(there.traces()["alpha"].info.trace_id).data.spans) > 2
    assert evalkit("push-feedback", *RUN).report["unmatched"] == 0


# -- in circles -------------------------------------------------------------------------------

CIRCLES = {
    "cases/alpha/me": "me",
    "cases/alpha/up": "..",
    "cases/alpha/a.yaml": "b.yaml",
    "cases/delta": "delta",
    "RUN/cases/alpha/stdout.log": "stdout.log",
    "eval.yaml": "eval.yaml",
    "RUN/summary.yaml": "summary.yaml",
    "RUN/run_result.json": "run_result.json",
    "RUN/review.yaml": "review.yaml",
}


@pytest.mark.parametrize("path", CIRCLES)
def test_a_link_that_leads_to_itself_is_named_in_one_line(evalkit, project, path):
    link(project, path.replace("RUN", project.run_dir), CIRCLES[path])
    if path.endswith("a.yaml"):
        link(project, "cases/alpha/b.yaml", "a.yaml")
    stages = [("check",), ("map", "--force"), ("sync-dataset",)]
    stages += [(stage, *RUN) for stage in ("log-results", "push-feedback", "pull-feedback")]
    for stage in stages:
        done = evalkit(*stage)
        assert "Traceback" not in done.err + done.out
        assert done.code in {0, 2}
        is_a_files = path.endswith((".yaml", ".json")) and "cases" not in path
        assert done.code == 0 or not is_a_files or path.rpartition("/")[2] in done.err
