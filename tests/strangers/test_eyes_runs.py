"""Runs and projects as strangers have them: no logs, dead executions, links, other layouts."""

from __future__ import annotations

import pytest
from eval_project import CASES, RESULT, RUN_ID, log_of, score
from in_mlflow import InMlflow

RUN = ("--run-id", RUN_ID)


@pytest.fixture
def mlflow(database_uri):
    return InMlflow(database_uri)


def outcome_of(project, **changes):
    project.write(f"{project.run_dir}/run_result.json", {**RESULT, **changes})


def request_of(mlflow, case):
    return mlflow.client.get_trace(mlflow.traces()[case].info.trace_id).data.request


# -- executions that failed ------------------------------------------------------------------------


@pytest.mark.parametrize("per_case", [None, {}, {c: {"exit_code": 0} for c in CASES}])
def test_a_run_that_failed_while_no_case_says_which_is_never_silent(project, evalkit, per_case):
    outcome_of(project, exit_code=2, **({} if per_case is None else {"per_case": per_case}))
    logged = evalkit("log-results", *RUN)
    told = [line for line in logged.err.splitlines() if "exit code 2" in line]
    assert told, logged.err
    assert "0 of 3 executions failed" not in logged.err
    assert evalkit("log-results", *RUN, "--strict").code == 1


# -- links -----------------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "secret.txt").write_text("not yours", "utf-8")
    (place / "events.json").write_text("[]", "utf-8")
    (place / "input.yaml").write_text("prompt: not yours\n", "utf-8")
    (place / "agent-b2.jsonl").write_text("{}", "utf-8")
    (place / "stdout.log").write_bytes(log_of("not yours"))
    return place


def link(project, path, target):
    place = project.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_symlink() or place.exists():
        project.remove(path)
    place.symlink_to(target)


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
def test_what_a_link_leads_out_to_is_not_read_and_that_is_said(
    project, evalkit, mlflow, outside, beside
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
    trace = mlflow.client.get_trace(mlflow.traces()["beta"].info.trace_id)
    told = str([span.to_dict() for span in trace.data.spans])
    assert shown in told
    assert "not yours" not in told
    assert said in logged.err
    assert "please handle beta" in trace.data.request
    assert len(mlflow.client.get_trace(mlflow.traces()["alpha"].info.trace_id).data.spans) > 2
    assert evalkit("push-feedback", *RUN).report["unmatched"] == 0


@pytest.mark.parametrize("place", ["logs/beta.log", "kept/beta"])
def test_links_inside_the_repository_are_followed_even_above_the_project(
    tmp_path, project, evalkit, mlflow, place
):
    (tmp_path / ".git").mkdir()
    log = tmp_path / place / "stdout.log" if place == "kept/beta" else tmp_path / place
    log.parent.mkdir(parents=True)
    log.write_bytes(log_of("beta", reply="from elsewhere"))
    case = f"{project.run_dir}/cases/beta"
    link(project, case if place == "kept/beta" else f"{case}/stdout.log", tmp_path / place)
    assert evalkit("log-results", *RUN).code == 0
    trace = mlflow.client.get_trace(mlflow.traces()["beta"].info.trace_id)
    assert "from elsewhere" in (trace.data.response or "")


# -- the input of a stub ---------------------------------------------------------------------------


def test_a_stub_has_the_input_that_the_mapping_selects(project, evalkit, mlflow):
    project.remove("cases/beta/input.yaml")
    project.write("cases/beta/ticket.json", {"question": "where is my parcel?"})
    project.write("cases/beta/prompt.md", "handle beta, please")
    project.unlog("beta")
    mapping = {"inputs": {"question": "ticket.json:question"}, "expectations": {}}
    project.write("tmp/schema_mapping.json", mapping)
    assert evalkit("log-results", *RUN).code == 0
    assert "where is my parcel?" in request_of(mlflow, "beta")


def test_a_stub_has_its_input_without_mapping_and_without_input_yaml(project, evalkit, mlflow):
    project.remove("tmp/schema_mapping.json")
    for case in CASES:
        project.remove(f"cases/{case}/input.yaml")
        project.write(f"cases/{case}/input.json", {"prompt": f"handle {case} from json"})
    project.unlog("beta")
    assert evalkit("log-results", *RUN).code == 0
    assert "handle beta from json" in request_of(mlflow, "beta")


# -- traces that the harness recorded --------------------------------------------------------------


def test_every_case_recorded_before_anything_is_logged_is_used(evalkit, mlflow):
    evalkit("sync-dataset")
    mlflow.client.create_experiment("support") if mlflow.experiment_id is None else None
    ids = {case: mlflow.record(case, eval_run_id=RUN_ID, eval_case_id=case) for case in CASES}
    pushed = evalkit("push-feedback", *RUN)
    assert pushed.report["traces"] == 3
    evalkit("log-results", *RUN)
    assert {c: t.info.trace_id for c, t in mlflow.traces().items()} == ids
    assert mlflow.values("gamma")["quality"] == 5


# -- true words about traces -----------------------------------------------------------------------


def words(outcome):
    return outcome.err + outcome.out


# -- a crash is no saving --------------------------------------------------------------------------


def test_a_run_that_failed_while_no_case_says_so_is_no_equal_in_a_comparison(evalkit, project):
    cases = [f"case-{number:02}" for number in range(12)]
    for run_id, code in {"r1": 0, "r2": 3}.items():
        folder = f"eval/runs/{project.name}/{run_id}"
        project.write(f"{folder}/run_result.json", {**RESULT, "exit_code": code})
        scores = {case: {"polite": score(value=True)} for case in cases}
        project.write(f"{folder}/summary.yaml", {"judges": {}, "per_case": scores})
        for case in cases:
            project.write(f"{folder}/cases/{case}/stdout.log", log_of("x"))
    compared = evalkit("compare", "r2", "--baseline", "r1", "--strict")
    assert (compared.code, compared.report["verdict"]) == (1, "worse")
    assert "exit code 3" in compared.report["findings"][0]
