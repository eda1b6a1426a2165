"""Whether evalkit and MLflow 3.18's own paired comparison say the same of random judges.

    python tests/bench/agree_with_mlflow.py [--judges 500]

Two runs are logged, in which each judge scored six cases or more, with ties and gaps; then both
compare them. `.ci/versions` runs it where MLflow has the comparison. Of more than 24 flips MLflow
takes an approximation where evalkit stays exact.
"""

import argparse
import json
import tempfile
from pathlib import Path

import mlflow
import numpy as np

import evalkit

CASES = [f"case-{number:02d}" for number in range(24)]


def values(random, *, is_pass):
    """What a judge says in both runs, of all cases, of most or of six; None without a score."""
    there = random.random(len(CASES)) < random.choice([0.0, 0.5, 1.0])
    there[:6] = True
    for shift in (0.0, random.choice([0.0, 0.1, 0.3])):
        if is_pass:
            said = random.random(len(CASES)) < 0.7 - shift
        else:
            said = np.clip(random.integers(1, 6, len(CASES)) - 3 * shift, 1, 5).astype(int)
        yield [each if known else None for each, known in zip(said.tolist(), there, strict=True)]


def main():
    """Log, compare twice, and print how far the two are apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--judges", type=int, default=500)
    names = [f"j{number:03d}" for number in range(parser.parse_args().judges)]
    random = np.random.default_rng(11)
    judged = {name: [*values(random, is_pass=bool(n % 2))] for n, name in enumerate(names)}
    with tempfile.TemporaryDirectory() as folder:
        root, uri = Path(folder), f"sqlite:///{folder}/m.db"
        judges = [{"name": name, "check": "..."} for name in names]
        config = {"name": "agree", "skill": "x", "dataset": {"path": "cases"}, "judges": judges}
        (root / "eval.yaml").write_text(json.dumps(config), "utf-8")
        for side, run_id in enumerate(("r1", "r2")):
            place = root / "eval/runs/agree" / run_id
            place.mkdir(parents=True)
            said = {
                case: {
                    n: {"value": v[side][at]} for n, v in judged.items() if v[side][at] is not None
                }
                for at, case in enumerate(CASES)
            }
            (place / "summary.yaml").write_text(json.dumps({"judges": {}, "per_case": said}))
            (place / "run_result.json").write_text('{"exit_code": 0}', "utf-8")
        workspace = evalkit.Workspace.open(
            str(root / "eval.yaml"), tracking_uri=uri, runs_dir=f"{root}/eval/runs"
        )
        ids = [evalkit.log_results(workspace, run_id=r)["mlflow_run_id"] for r in ("r1", "r2")]
        mlflow.set_tracking_uri(uri)
        theirs = mlflow.genai.compare_evaluations(ids[1], ids[0]).scorers
        ours = evalkit.compare(workspace, candidate=["r2"], baseline=["r1"])["judges"]
    apart = []
    for judge in ours:
        other = theirs[judge["judge"]]
        assert (other.n_paired, other.status) == (judge["pairs"], "ok"), judge
        assert abs(other.diff - judge["difference"]) < 1e-9, judge
        if other.method == "mcnemar_exact" or other.method.startswith("wilcoxon"):
            apart.append(abs(other.p_value - judge["p"]))
    assert len(theirs) == len(ours) == len(names)
    print(
        f"{len(apart)} of {len(ours)} judges by the same test, p apart by at most {max(apart):.1e}"
    )
    assert max(apart) < 1e-9


if __name__ == "__main__":
    main()
