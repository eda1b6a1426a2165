"""What the agent was asked stands on the trace of a case, whether or not its log holds it."""

import pytest
from eval_project import RUN, log_of, unasked_log_of
from in_mlflow import InMlflow


@pytest.fixture
def asked(evalkit, project, database_uri):
    """Logs the run, and tells what the root span of alpha was given."""

    def log():
        assert evalkit("log-results", *RUN).code == 0
        mlflow = InMlflow(database_uri)
        trace = mlflow.client.get_trace(mlflow.traces()["alpha"].info.trace_id)
        (root,) = (span for span in trace.data.spans if span.parent_id is None)
        return root.inputs

    project.log("alpha", unasked_log_of("alpha"))
    project.copy_of_input = f"{project.run_dir}/cases/alpha/input.yaml"
    return log


def test_it_is_what_the_log_holds_else_what_the_run_kept_else_the_case_of_today(
    asked, evalkit, project
):
    assert asked() == {"prompt": "please handle alpha"}
    project.add_case("alpha", "please handle alpha well")
    assert asked() == {"prompt": "please handle alpha well"}
    assert evalkit("log-results", *RUN).report["written"] is False
    project.write(project.copy_of_input, {"prompt": "as it was then"})
    assert asked() == {"prompt": "as it was then"}
    project.log("alpha", log_of("alpha"))
    assert "please handle alpha" in str(asked())


def test_secrets_in_it_are_masked_and_long_texts_shortened(asked, project):
    project.add_case("alpha", "sk-ant-api03-" + "a" * 90 + " " + "long " * 40_000)
    (prompt,) = asked().values()
    assert "aaaa" not in prompt
    assert "characters left out" in prompt


TODAY = {"prompt": "please handle alpha"}


@pytest.mark.parametrize(("content", "said"), [("a: [", TODAY), (b"\xff\xfe", TODAY), ("", None)])
def test_a_copy_that_cannot_be_read_leaves_the_word_to_the_case_of_today(
    asked, project, content, said
):
    project.write(project.copy_of_input, content)
    assert asked() == said


def test_a_project_without_its_cases_is_logged_all_the_same(asked, project):
    project.remove("cases")
    assert asked() is None
