"""Links within the project or its repository are followed; nothing else outside is ever read."""

import json

import pytest
from eval_project import MAPPING, RUN, log_of, scores_of

SECRET = "what nobody else may read"
LOG, PUSH, PULL = ("log-results", *RUN), ("push-feedback", *RUN), ("pull-feedback", *RUN)
CHECK, SYNC, MAP = ("check",), ("sync-dataset",), ("map",)


@pytest.fixture(autouse=True)
def outside(project):
    """Files and a run beside the project, which no path may lead to."""
    folder = project.root.parent / "outside"
    (folder / "r1").mkdir(parents=True)
    for name, text in {
        "secret.txt": SECRET,
        "summary.yaml": "per_case: {}\n",
        "r1/summary.yaml": "per_case: {}\n",
        "input.yaml": f"prompt: {SECRET}\n",
        "events.json": "[]",
        "agent-b2.jsonl": "{}",
        "stdout.log": log_of(SECRET).decode(),
    }.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def link(project):
    """Puts a link in the place of what is there; RUN is the run's directory."""

    def put(path, target):
        place = project.root / path.replace("RUN", project.run_dir)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink() or place.exists():
            project.remove(str(place))
        place.symlink_to(target)

    return put


@pytest.fixture
def refuses(evalkit, mlflow, shared_database):
    """Runs a command that has to end with 2, without having written or shown anything."""

    def run(*arguments):
        done = evalkit(*arguments)
        assert (done.code, "Traceback" in done.err) == (2, False), done
        assert SECRET not in done.out + done.err
        assert mlflow.experiment_id is None
        assert not (shared_database.parent / "mlruns").exists()
        return done

    return run


# -- refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stages", "place", "target"),
    [
        ((LOG, PUSH, PULL, CHECK), "RUN", ""),
        ((LOG, CHECK), "RUN/cases", ""),
        ((LOG,), "RUN/summary.yaml", "summary.yaml"),
        ((CHECK,), "RUN/run_result.json", "input.yaml"),
        ((PUSH, PULL), "RUN/review.yaml", "summary.yaml"),
        ((SYNC, MAP, CHECK), "cases/beta", ""),
        ((SYNC,), "cases/beta/input.yaml", "input.yaml"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_is_needed_and_leads_out_is_refused(refuses, link, outside, stages, place, target):
    link(place, outside / target)
    for stage in stages:
        assert "leads out of" in refuses(*stage).err


def test_run_ids_selectors_and_the_names_of_skills_lead_nowhere(refuses, project):
    for run_id in ("..", ".", "", "../../../../outside", "/etc", "a\\b", "a\nb", "x\x00"):
        for stage in ("log-results", "pull-feedback"):
            assert "run id" in refuses(stage, f"--run-id={run_id}").report["error"]
    for selector in ("../../../outside/secret.txt:__file__", "/etc/passwd:__file__", "x:../../x"):
        project.write("tmp/schema_mapping.json", {**MAPPING, "inputs": {"prompt": selector}})
        (problem,) = refuses(*SYNC).report["problems"]
        assert problem["field"] == "inputs.prompt"
        assert problem["file"].endswith("schema_mapping.json")
    for skill in ("../../../outside", "/etc", ".."):
        project.configure(name=skill, skill=skill)
        assert "no finished run" in refuses("log-results", "--run-id", "r1").err


@pytest.mark.parametrize("case", ["../../../../../outside", "/etc/passwd", ""])
def test_a_case_in_the_summary_is_a_name_and_no_path(evalkit, project, mlflow, case):
    project.write(project.summary, {"per_case": {case: scores_of("x")}})
    project.review.write_text(json.dumps({"feedback": {case: "fine"}}))
    assert evalkit(*LOG).report["unmatched"] == 0
    report = evalkit(*PUSH).report
    assert (report["judge"], report["human"], report["unmatched"]) == (4, 1, 0)
    traces = mlflow.traces()
    assert set(traces) == {"alpha", "beta", "gamma", case}
    assert traces[case].info.request_preview in {case, ""}
    assert not traces[case].info.response_preview


# -- left out with a word ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../../../outside/secret.txt", "leads out of"),
        ("/etc/hostname", "leads out of"),
        ("../../.git/config", "leads out of"),
        ("nowhere", "a link to nothing"),
        ("loop", "leads"),
        ("..", "leads back"),
    ],
)
def test_a_link_of_a_case_that_is_not_followed_is_named_and_the_rest_goes_on(
    evalkit, project, link, target, why
):
    project.write(".git/config", "[remote]\n")
    link("cases/beta/loop", target)
    done = evalkit("map", "--force")
    assert done.code == 0
    assert [note for note in done.report["notes"] if note.startswith("beta/loop") and why in note]
    assert "secret" not in json.dumps(done.report)
    done = evalkit(*SYNC)
    assert (done.code, done.report["created"], "beta/loop" in done.err) == (0, 3, True)


LINKS = {  # where in the case's folder, whereto; what the trace shows; what is said
    "events.json": ("events.json", "beta is fine", "beta/events.json"),
    "subagents/agent-a1.jsonl": ("agent-b2.jsonl", "beta is fine", "beta/subagents/agent-a1.jsonl"),
    "input.yaml": ("input.yaml", "beta is fine", "beta/input.yaml"),
    "": ("", "link", "cases/beta"),
    "stdout.log": ("stdout.log", "leads out of", "leads out of"),
    "steps/polish/stdout.log": ("stdout.log", "link", "polish/stdout.log"),
    "output/other.md": ("secret.txt", "leads out of", ""),
}


@pytest.mark.parametrize("beside", LINKS)
def test_what_a_link_of_a_run_leads_out_to_is_not_read_and_that_is_said(
    project, evalkit, mlflow, outside, link, beside
):
    target, shown, said = LINKS[beside]
    base = f"{project.run_dir}/cases/beta"
    if beside.startswith("steps"):
        project.write(f"{base}/steps/draft/stdout.log", log_of("draft", reply="drafted"))
    if beside.startswith("output"):
        project.unlog("beta")
        project.write(f"{base}/output/answer.md", "the answer of beta")
    link(f"{base}/{beside}".rstrip("/"), outside / target)
    logged = evalkit(*LOG)
    assert (logged.code, logged.report["traces"]) == (0, 3)
    traces = mlflow.traces()
    trace = mlflow.client.get_trace(traces["beta"].info.trace_id)
    told = str([trace.info.tags, *(span.to_dict() for span in trace.data.spans)])
    assert (shown in told, said in logged.err) == (True, True)
    assert SECRET not in told + logged.out + logged.err
    if beside in ("", "stdout.log"):
        assert list(logged.report["receipt"]["refused"]) == ["beta"]
        assert (evalkit(*LOG, "--strict").code, evalkit(*CHECK).code) == (1, 2)
    assert "please handle beta" in trace.data.request
    assert len(mlflow.client.get_trace(traces["alpha"].info.trace_id).data.spans) > 2
    assert evalkit(*PUSH).report["unmatched"] == 0


# -- followed ---------------------------------------------------------------------------------


def test_what_a_link_leads_to_within_the_project_or_its_repository_is_read(
    evalkit, project, mlflow, outside, link
):
    """What git keeps for itself is none of a case."""
    project.write("SKILL.md", "how to help")
    project.write("shared/skill.md", "how to help")
    link("cases/beta/docs/skill.md", project.root / "SKILL.md")
    link("cases/beta/shared", project.root / "shared")
    files = {"skill": "docs/skill.md:__file__", "more": "shared/skill.md:__file__"}
    project.write("tmp/schema_mapping.json", {"inputs": MAPPING["inputs"], "expectations": files})
    done = evalkit(*SYNC)
    assert (done.code, done.report["created"]) == (0, 3)

    (outside.parent / ".git").mkdir()
    project.write("cases/beta/.git/HEAD", "ref: refs/heads/main\n")
    project.write("cases/beta/notes/.gitkeep", "")
    link("cases/beta/notes.md", outside / "secret.txt")
    report = evalkit("map", "--force").report
    assert (report["notes"], "notes.md:__file__" in report["reasons"]) == ([], True)
    assert "git" not in json.dumps(report["reasons"])
    link("RUN/cases/beta/stdout.log", outside / "stdout.log")
    (outside / "gamma").mkdir()
    (outside / "gamma/stdout.log").write_bytes(log_of("gamma", reply="from elsewhere"))
    link("RUN/cases/gamma", outside / "gamma")
    assert evalkit(*LOG).code == 0
    traces = mlflow.traces()
    assert SECRET in traces["beta"].info.request_preview
    assert "from elsewhere" in traces["gamma"].info.response_preview


def test_dotted_folders_and_files_of_a_case_are_read_and_pictures_left(evalkit, project):
    for place in ("v1.2/input.yaml", ".agent/.state.d/ask.json", ".prompt.yaml"):
        project.remove("cases")
        for case in ("alpha", "login-v1.2.yaml"):
            project.write(f"cases/{case}/{place}", {"wish": f"a wish of {case}"})
            project.write(f"cases/{case}/shot.png", b"\x89PNG\xff")
        schema = f"{place}: wish, what the skill is asked"
        project.configure(dataset={"path": "cases", "schema": schema}, judges=[], thresholds={})
        done = evalkit("map", "--force")
        assert (done.code, done.report["inputs"]) == (0, {"wish": f"{place}:wish"}), done.err
        assert evalkit(*SYNC).code == 0
