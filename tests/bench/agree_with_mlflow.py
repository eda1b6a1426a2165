"""Whether evalkit and MLflow 3.18's own paired comparison say the same of random judges.

    python tests/bench/agree_with_mlflow.py [--judges 500]

Two runs are logged, in which each judge scored six cases or more, with ties and gaps; then both
compare them. `.ci/versions` runs it where MLflow has the comparison. Of more than 24 flips MLflow
takes an approximation where evalkit stays exact.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import yaml

import evalkit

EXACT_FLIPS = 24


def values(random: np.random.Generator, cases: int, *, is_pass: bool) -> list[list[object]]:
    """What a judge says in both runs, of all cases, of most or of six; None without a score."""
    there = random.random(cases) < random.choice([0.0, 0.5, 1.0])
    there[:6] = True
    sides: list[list[object]] = []
    for shift in (0.0, random.choice([0.0, 0.1, 0.3])):
        if is_pass:
            said: list[object] = [bool(each) for each in random.random(cases) < 0.7 - shift]
        else:
            said = [int(each) for each in np.clip(random.integers(1, 6, cases) - 3 * shift, 1, 5)]
        sides.append([each if known else None for each, known in zip(said, there, strict=True)])
    return sides


def main() -> None:
    """Log, compare twice, and print how far the two are apart."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judges", type=int, default=500)
    parser.add_argument("--cases", type=int, default=24)
    arguments = parser.parse_args()
    random = np.random.default_rng(11)
    names = [f"case-{n:02d}" for n in range(arguments.cases)]
    judged = [
        values(random, arguments.cases, is_pass=bool(number % 2))
        for number in range(arguments.judges)
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        judges = [{"name": f"j{n:03d}", "check": "..."} for n in range(arguments.judges)]
        config = {"name": "agree", "skill": "x", "dataset": {"path": "cases"}, "judges": judges}
        (root / "eval.yaml").write_text(yaml.safe_dump(config), "utf-8")
        for side, run_id in enumerate(("r1", "r2")):
            place = root / "eval/runs/agree" / run_id
            place.mkdir(parents=True)
            said = {
                name: {
                    f"j{n:03d}": {"value": each[side][case], "rationale": ""}
                    for n, each in enumerate(judged)
                    if each[side][case] is not None
                }
                for case, name in enumerate(names)
            }
            summary = {"judges": {}, "per_case": said}
            (place / "summary.yaml").write_text(json.dumps(summary), "utf-8")
            (place / "run_result.json").write_text('{"exit_code": 0}', "utf-8")
        workspace = evalkit.Workspace.open(
            str(root / "eval.yaml"),
            tracking_uri=f"sqlite:///{root}/m.db",
            runs_dir=f"{root}/eval/runs",
        )
        ids = [evalkit.log_results(workspace, run_id=r)["mlflow_run_id"] for r in ("r1", "r2")]
        mlflow.set_tracking_uri(f"sqlite:///{root}/m.db")
        theirs = mlflow.genai.compare_evaluations(ids[1], ids[0]).scorers
        ours = evalkit.compare(workspace, candidate=["r2"], baseline=["r1"])["judges"]
    apart = []
    for judge in ours:
        other = theirs[judge["judge"]]
        assert (other.n_paired, other.status) == (judge["pairs"], "ok"), judge
        assert abs(other.diff - judge["difference"]) < 1e-9, judge
        if other.method == "mcnemar_exact" or other.method.startswith("wilcoxon"):
            apart.append(abs(other.p_value - judge["p"]))
    assert len(theirs) == len(ours) == arguments.judges
    print(
        f"{len(apart)} of {len(ours)} judges by the same test, p apart by at most {max(apart):.1e}"
    )
    assert max(apart) < 1e-9


if __name__ == "__main__":
    main()
