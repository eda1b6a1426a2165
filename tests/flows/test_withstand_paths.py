"""Nothing outside the project's own folders is read, whatever names and links say."""

import pytest
from eval_project import MAPPING, RUN, scores_of
from in_mlflow import InMlflow

OUTSIDE = "what nobody else may read"


@pytest.fixture
def outside(project):
    """A file and a run beside the project, which no path may lead to."""
    project.root.parent.joinpath("secret.txt").write_text(OUTSIDE)
    folder = project.root.parent / "other"
    folder.mkdir()
    (folder / "summary.yaml").write_text("per_case: {}\n")
    (folder / "input.yaml").write_text(f"prompt: {OUTSIDE}\n")
    (folder / "stdout.log").write_text(OUTSIDE)
    (folder / "agent-1.jsonl").write_text(OUTSIDE)
    return folder


@pytest.fixture
def refuses(evalkit, database_uri, shared_database):
    """Runs a command that has to end with 2, without having written or shown anything."""

    def run(*arguments):
        done = evalkit(*arguments)
        assert done.code == 2, done
        assert "Traceback" not in done.err
        assert OUTSIDE not in done.out + done.err
        assert InMlflow(database_uri).experiment_id is None
        assert not (shared_database.parent / "mlruns").exists()
        return done

    return run


ELSEWHERE = ["..", ".", "", "../../../../other", "/etc", "a\\b", "a\nb", "x\x00"]


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("stage", ["log-results", "pull-feedback"])
def test_a_run_id_is_the_name_of_one_folder(refuses, stage):
    for run_id in ELSEWHERE:
        assert "run id" in refuses(stage, f"--run-id={run_id}").report["error"]


@pytest.mark.parametrize("stage", ["log-results", "push-feedback", "pull-feedback", "check"])
def test_a_run_that_is_a_link_leading_out_is_refused(refuses, project, outside, stage):
    project.remove(project.run_dir)
    (project.root / project.run_dir).symlink_to(outside)
    run = [] if stage == "check" else RUN
    assert "leads out of" in refuses(stage, *run).err


@pytest.mark.parametrize(
    ("stage", "place", "target"),
    [
        *(
            ("log-results", "summary.yaml", "summary.yaml"),
            ("check", "run_result.json", "summary.yaml"),
        ),
        *(("log-results", "cases", ""), ("check", "cases", "")),
        *((stage, "review.yaml", "summary.yaml") for stage in ("push-feedback", "pull-feedback")),
    ],
)
def test_a_runs_file_that_is_a_link_leading_out_is_refused(
    refuses, project, outside, stage, place, target
):
    if place != "review.yaml":
        project.remove(f"{project.run_dir}/{place}")
    if place == "cases":
        (outside / "beta").mkdir()
    (project.root / project.run_dir / place).symlink_to(outside / target)
    run = [] if stage == "check" else RUN
    assert "leads out of" in refuses(stage, *run).err


def test_a_log_that_leads_out_is_named_and_not_followed_and_the_rest_goes_on(
    evalkit, project, outside, database_uri
):
    link = project.root / project.run_dir / "cases/beta/stdout.log"
    link.unlink()
    link.symlink_to(outside / "agent-1.jsonl")
    done = evalkit("log-results", *RUN)
    assert (done.code, list(done.report["receipt"]["refused"])) == (0, ["beta"])
    assert "leads out of" in done.err
    assert evalkit("log-results", *RUN, "--strict").code == 1
    assert evalkit("check").code == 2
    traces = InMlflow(database_uri).traces()
    assert set(traces) == {"alpha", "beta", "gamma"}
    assert "leads out of" in traces["beta"].info.tags["evalkit.stub"]
    assert OUTSIDE not in done.out + done.err + str(traces["beta"])


@pytest.mark.parametrize(
    ("stage", "place", "target"),
    [
        ("sync-dataset", "cases/beta/input.yaml", "other/input.yaml"),
        ("sync-dataset", "cases/beta", "other"),
        ("map", "cases/beta", "other"),
        ("check", "cases/beta", "other"),
    ],
)
def test_a_case_that_leads_out_is_refused_where_it_is_needed(
    refuses, project, outside, stage, place, target
):
    if (project.root / place).exists():
        project.remove(place)
    (project.root / place).symlink_to(outside.parent / target)
    assert "leads out of" in refuses(stage).err


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize(
    "selector",
    [
        "../../../secret.txt:__file__",
        "/etc/passwd:__file__",
        "input.yaml:../../secret.txt",
    ],
    ids=repr,
)
def test_a_selector_names_a_file_inside_the_case(refuses, project, selector):
    project.write("tmp/schema_mapping.json", {**MAPPING, "inputs": {"prompt": selector}})
    done = refuses("sync-dataset")
    assert done.report["problems"][0]["field"] == "inputs.prompt"
    assert done.report["problems"][0]["file"].endswith("schema_mapping.json")


@pytest.mark.usefixtures("outside")
@pytest.mark.parametrize("case", ["../../../../../other", "/etc/passwd", ""])
def test_a_case_in_the_summary_is_a_name_and_no_path(evalkit, project, database_uri, case):
    project.write(project.summary, {"per_case": {case: scores_of("x")}})
    project.write(f"{project.run_dir}/review.yaml", {"feedback": {case: "fine"}})
    assert evalkit("log-results", *RUN).report["unmatched"] == 0
    report = evalkit("push-feedback", *RUN).report
    assert (report["judge"], report["unmatched"]) == (4, 0)
    traces = InMlflow(database_uri).traces()
    assert set(traces) == {"alpha", "beta", "gamma", case}
    assert traces[case].info.request_preview in {case, ""}
    assert not traces[case].info.response_preview


@pytest.mark.parametrize("skill", ["../../../other", "/etc", ".."])
def test_a_skills_name_leads_nowhere(refuses, project, outside, skill):
    (outside / "r1").mkdir()
    (outside / "r1/summary.yaml").write_text("per_case: {}\n")
    project.configure(name=skill, skill=skill)
    assert "no finished run" in refuses("log-results", "--run-id", "r1").err


def test_a_folder_where_a_file_should_be_is_no_log(evalkit, project):
    project.unlog("beta")
    (project.root / project.run_dir / "cases/beta/stdout.log").mkdir(parents=True)
    report = evalkit("log-results", *RUN).report
    assert (report["traces"], report["receipt"]["missing"]) == (3, ["beta"])
