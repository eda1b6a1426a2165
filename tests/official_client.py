"""A dataset of a workspace through Databricks' own client, as a program: rows in, rows out as JSON.

A process of its own: what it imports warns, and warnings are errors among the tests.
"""

import json
import os
import subprocess
import sys


def through_official_client(table: str, *rows: dict[str, object]) -> list[dict[str, object]]:
    """Merge rows into a dataset, then read it."""
    done = subprocess.run(
        [sys.executable, __file__, table],
        input=json.dumps(rows),
        env={**os.environ, "MLFLOW_TRACKING_URI": "databricks"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    from mlflow.genai.datasets import get_dataset

    dataset = get_dataset(name=sys.argv[1])
    if merged := json.load(sys.stdin):
        dataset.merge_records(merged)
    fields = ["inputs", "expectations", "tags"]
    sys.stdout.write(json.dumps(dataset.to_df()[fields].to_dict(orient="records")))
