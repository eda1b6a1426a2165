"""The evaluation that model-written suites are made of runs inside, on a store of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from servers import OFFLINE

from evalkit.adapters.confinement import Confinement, Level

SUITE = """
import mlflow
from mlflow.genai.scorers import scorer

@scorer
def brief(outputs):
    return len(outputs) < 6

mlflow.set_experiment("private")
rows = [{"inputs": {"question": str(n)}, "outputs": "x" * n * 4} for n in range(3)]
result = mlflow.genai.evaluate(data=rows, scorers=[brief])
print("mean", round(float(result.metrics["brief/mean"]), 3))
print("traces", len(mlflow.search_traces(run_id=result.run_id, return_type="list")))
"""


@pytest.mark.parametrize("level", [Level.NAMESPACES, Level.LANDLOCK], ids=lambda level: level.value)
def test_an_evaluation_runs_on_a_private_store(level, tmp_path: Path, empty_database: Path):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    (tmp_path / "suite.py").write_text(SUITE)
    env = {**OFFLINE, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    outcome = Confinement(level=level).run(["suite.py"], tmp_path, env=env)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.endswith("mean 0.667\ntraces 3\n")
