"""Which finished runs are compared: those that are named, else the newest and the one before it.

It reads the run directories alone: MLflow is not asked, and runs without logs will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from evalkit.config_files import ProjectFiles
from evalkit.errors import InputError, Problem
from evalkit.runs.run_dir import RunFiles, list_runs

TWO = 2


def run_ids(files: ProjectFiles) -> list[str]:
    """Ids of a project's finished runs, sorted, so that dated ones end with the latest.

    Raises:
        InputError: there are fewer than two.
    """
    found = list_runs(files)
    if len(found) < TWO:
        known = f"only {found[0]!r}" if found else "none"
        raise InputError(
            Problem(
                f"a comparison needs two finished runs, there is {known}",
                ", ".join(map(str, files.runs_dirs)),
                fix="run the evaluation again, or name another runs folder",
            )
        )
    return found


def choose(known: Sequence[str], baseline: str = "", candidates: str = "") -> list[str]:
    """The baseline, then the candidates.

    Args:
        known: What :func:`run_ids` returned.
        baseline: A run id; may be empty.
        candidates: Run ids, separated by commas; may be empty.

    Raises:
        InputError: names every run that there is not, and a run that is compared with itself.
    """
    named = list(dict.fromkeys(filter(None, (part.strip() for part in candidates.split(",")))))
    named = named or [next(name for name in reversed(known) if name != baseline)]
    if not baseline:
        others = [name for name in known if name not in named]
        earlier = [name for name in others if name < min(named)]
        baseline = (earlier or others or [""])[-1]
    if problems := list(_wrong(known, baseline, named)):
        raise InputError(*problems)
    return [baseline, *named]


def _wrong(known: Sequence[str], baseline: str, candidates: Sequence[str]) -> Iterator[Problem]:
    there = f"there are {', '.join(known[-5:])}"
    for field, name in (("baseline", baseline), *(("candidate", each) for each in candidates)):
        if name and name not in known:
            yield Problem(f"there is no finished run {name!r}", field=field, fix=there)
    if not baseline or baseline in candidates:
        same = f"{baseline or candidates[0]!r} would be compared with itself"
        yield Problem(same, field="baseline", fix=f"name another run; {there}")


def load(read: Callable[[str], RunFiles], chosen: Sequence[str]) -> list[RunFiles]:
    """Read the runs.

    Args:
        read: Reads one, such as ``workspace.run``.
        chosen: Their ids.

    Raises:
        InputError: a run's files are wrong; with every problem of every run.
    """
    problems: list[Problem] = []
    runs = []
    for run_id in chosen:
        try:
            runs.append(read(run_id))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return runs
