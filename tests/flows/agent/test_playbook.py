"""The playbook's code runs, beside a suite, on the MLflow in use."""

import os
import re
import subprocess
import sys

import pytest
from suites import EXPERIMENT

from evalkit.core.agent.code import dataset_code
from evalkit.core.errors import InputError
from evalkit.flows.agent.playbook import playbook, topics
from evalkit.flows.agent.toolbox import MOST_BYTES

SCRIPT = "script"
"""The topic whose code is the script itself, which other tests run."""


def code_of(topic):
    return "\n".join(
        re.findall(r"^```python\n(.*?)^```$", playbook(topic), re.MULTILINE | re.DOTALL)
    )


@pytest.fixture(scope="module")
def beside_a_suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    rows = [each.row for each in EXPERIMENT.values()]
    (folder / "eval_dataset.py").write_text(dataset_code(rows, [""] * len(rows)), "utf-8")
    return folder


def test_every_topic_is_listed_and_fits_into_a_tools_result():
    assert [line.split(":")[0] for line in playbook().splitlines()[1:]] == [
        f"- {topic}" for topic in topics()
    ]
    assert all(len(playbook(topic).encode()) < MOST_BYTES for topic in topics())
    with pytest.raises(InputError, match="no topic"):
        playbook("../script")


def test_the_code_of_all_topics_runs(beside_a_suite, sqlite_uri):
    code = "\n\n".join(code_of(topic) for topic in topics() if topic != SCRIPT)
    assert code.count("assert ") > 8
    (beside_a_suite / "snippets.py").write_text(code, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "snippets.py"],
        cwd=beside_a_suite,
        env={**os.environ, "MLFLOW_TRACKING_URI": sqlite_uri},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_script_is_shown_whole():
    compile(code_of(SCRIPT), "run_eval.py", "exec")
    assert "mlflow.genai.evaluate(" in code_of(SCRIPT)
