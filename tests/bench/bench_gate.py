"""How often a comparison calls worse what is not, and misses what is, on made-up runs.

    python tests/bench/bench_gate.py [--repeats 400] [--size]

Cases differ in how hard they are; a small and a large effect take something from each. Beside it,
on the same pairs, the exact paired test of the kind of value alone: McNemar's of single passes and
of two labels, Wilcoxon's of pooled passes and of scores. With ``--size``: 5,000 cases, 10 judges
and 3 trials an arm, its seconds and memory.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from evalkit.project import Judge, Project
from evalkit.runs.compare_report import report
from evalkit.runs.run import Run, Score
from evalkit.stats import CHANCE, EXACT, FEWEST

EFFECTS = {"none": 0.0, "small": 0.15, "large": 0.35}
CASES = (12, 50, 200)
TRIALS = (1, 3, 5)
CRASHES = 0.1
PROJECT = Project("gate", judges=(Judge("judge", score_range=(1.0, 5.0)),))


def values(kind: str, ease: np.ndarray, effect: float, random: np.random.Generator) -> list[object]:
    """What a judge says of each case in one trial."""
    luck = random.random(len(ease))
    if kind == "pass":
        return [bool(each) for each in luck < ease - effect]
    if kind == "label":
        return ["polite" if each else "curt" for each in luck < ease - effect]
    raw = 1 + 4 * ease - 4 * effect + random.normal(0, 0.7, len(ease))
    return [float(each) for each in np.clip(np.round(raw), 1, 5)]


def arm(
    kind: str,
    ease: np.ndarray,
    effect: float,
    trials: int,
    crashes: float,
    random: np.random.Generator,
    judges: int = 1,
) -> list[Run]:
    """Trials of a run; as many crash in either arm, so that only scores can tell them apart."""
    found, names = [], [f"c{n:04d}" for n in range(len(ease))]
    for trial in range(trials):
        crashed = set(random.choice(names, round(crashes * len(names)), replace=False))
        scores = tuple(
            Score(name, f"judge{judge or ''}", value)
            for judge in range(judges)
            for name, value in zip(names, values(kind, ease, effect, random), strict=True)
            if name not in crashed
        )
        failed = dict.fromkeys(sorted(crashed), "exit code 1")
        found.append(Run(f"r{trial}", "case", scores=scores, cases=tuple(names), failed=failed))
    return found


def exact(kind: str, before: list[Run], after: list[Run]) -> bool:
    """Whether the exact test of the kind finds the candidate worse."""
    means = []
    for side in (before, after):
        by_case: dict[str, list[float]] = {}
        for score in itertools.chain(*(run.scores for run in side)):
            value = score.value == "polite" if kind == "label" else score.value
            by_case.setdefault(score.case_id, []).append(float(value))
        means.append({case: float(np.mean(each)) for case, each in by_case.items()})
    both = [case for case in means[0] if case in means[1]]
    differences = np.round([means[1][case] - means[0][case] for case in both], 9)
    differing = differences[differences != 0]
    if len(both) < FEWEST or not len(differing):
        return False
    if kind != "score" and len(before) == 1:
        p = stats.binomtest(int((differing > 0).sum()), len(differing)).pvalue
    else:
        method = "exact" if len(differing) <= EXACT else "asymptotic"
        p = stats.wilcoxon(differing, method=method).pvalue
    return bool(p < CHANCE and differences.mean() < 0)


def cells(repeats: int) -> Iterator[dict[str, object]]:
    """A row a cell: shares of the verdicts, and of what the exact test alone finds."""
    random = np.random.default_rng(20260901)
    grid = itertools.product(("pass", "score", "label"), EFFECTS, CASES, TRIALS, (0.0, CRASHES))
    for kind, effect, cases, trials, crashes in grid:
        found: Counter[str] = Counter()
        alone = 0
        for _ in range(repeats):
            ease = random.beta(4, 1.5, cases)
            sides = [
                arm(kind, ease, size, trials, crashes, random) for size in (0.0, EFFECTS[effect])
            ]
            (row,) = report(PROJECT, *sides)["judges"]
            found[row["verdict"]] += 1
            alone += exact(kind, *sides)
        told = "changed" if kind == "label" else "worse"
        yield {
            "values": kind,
            "effect": effect,
            "cases": cases,
            "trials": trials,
            "crashes": crashes,
            "worse or changed": found[told] / repeats,
            "exact": alone / repeats,
            "better": found["better"] / repeats,
            "same": found["same"] / repeats,
            "cannot tell": found["unknown"] / repeats,
        }


def size() -> None:
    """The cost of a large comparison."""
    random = np.random.default_rng(1)
    ease = random.beta(4, 1.5, 5_000)
    sides = [arm("pass", ease, 0, 3, 0, random, judges=10) for _ in range(2)]
    held, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    found = report(PROJECT, *sides)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{len(found['flips']):,} flips in {seconds:.1f} s,"
        f" {peak / 1024:.0f} MB (the runs alone {held / 1024:.0f})"
    )


def main() -> None:
    """Print the table, and where it is worst."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--size", action="store_true")
    arguments = parser.parse_args()
    if arguments.size:
        size()
        return
    frame = pd.DataFrame(cells(arguments.repeats))
    print(frame.to_string(index=False, float_format="{:.3f}".format))
    none = frame[frame["effect"] == "none"]
    some = frame[frame["effect"] != "none"]
    print(
        f"\nfalse alarms, mean {none['worse or changed'].mean():.3f},"
        f" most {none['worse or changed'].max():.3f}; power below the exact test by at most"
        f" {(some['exact'] - some['worse or changed']).max():.3f}"
    )


if __name__ == "__main__":
    main()
