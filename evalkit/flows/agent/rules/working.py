"""The worker sessions by rules: one task each, checked, loosened where it is too strict."""

from __future__ import annotations

from evalkit.flows.agent.rules.datasets import write_dataset
from evalkit.flows.agent.rules.hearing import Heard
from evalkit.flows.agent.rules.mending import mend
from evalkit.flows.agent.rules.moves import Move, use
from evalkit.flows.agent.rules.scoring import write_scorer
from evalkit.flows.agent.rules.scripting import write_script


def work(known: Heard) -> Move:
    """The next step of a worker."""
    checked = known.last("check_task")
    if checked is not None and not checked.failed:
        return Move("Done; the program's check passes.")
    kind = known.task.get("kind")
    match kind:
        case "dataset":
            return write_dataset(known)
        case "scorer":
            return write_scorer(known)
        case "script":
            return write_script(known)
        case "fix":
            return mend(known)
        case "validate":
            return _validate(known)
    return Move(f"Rules do not know tasks of the kind {kind!r}.")


def _validate(known: Heard) -> Move:
    checked = known.last("check_task")
    if checked is None:
        return use("Everything together.", ("check_task", {}))
    return Move(f"The suite does not pass yet: {checked.text[:1_000]}")
