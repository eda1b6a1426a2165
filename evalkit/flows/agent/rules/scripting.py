"""The script's task by rules: the script is the same for every suite but for where results go."""

from __future__ import annotations

from evalkit.core.agent.code import script_code
from evalkit.core.agent.suite import SCRIPT_FILE
from evalkit.core.content import mapping_of
from evalkit.flows.agent.rules.hearing import Heard
from evalkit.flows.agent.rules.moves import Move, use


def write_script(known: Heard) -> Move:
    """The next step of the script's worker."""
    checked = known.last("check_task")
    if checked is not None:
        return Move(f"The script does not pass, and rules have no other: {checked.text[:1_000]}")
    experiment = mapping_of(known.facts.get("experiment"))
    goes_to = experiment.get("suite_experiment") or f"{experiment.get('name')}-evalkit"
    code = script_code(str(goes_to), str(experiment.get("tracking_uri") or ""))
    return use(
        "The script replays what was recorded, or calls a live agent.",
        ("write_file", {"path": SCRIPT_FILE, "content": code}),
        ("check_task", {}),
    )
