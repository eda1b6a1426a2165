"""A repair by rules: what the validation found, scorer by scorer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from evalkit.core.agent.code import ScorerCode, known_scorers
from evalkit.core.agent.suite import DATASET_FILE, SCORERS_FILE, SCRIPT_FILE
from evalkit.core.content import list_of, mapping_of
from evalkit.core.values import Json
from evalkit.flows.agent.rules.datasets import write_dataset
from evalkit.flows.agent.rules.gathering import Gathered, gathered
from evalkit.flows.agent.rules.hearing import Heard
from evalkit.flows.agent.rules.moves import Move, use
from evalkit.flows.agent.rules.scoring import (
    TOO_STRICT,
    put,
    read_on,
    reading,
    scorer_code,
    without,
)
from evalkit.flows.agent.rules.scripting import write_script

ABOUT_DATASET = (f"{DATASET_FILE} cannot be used", "The dataset does not hold")
ABOUT_SCRIPT = f"{SCRIPT_FILE} does not hold"
ABOUT_SCORERS = "scorers do not hold"
BLIND = ("notices no damage", "was planned to notice")

_NAMED = re.compile(r"(?m)^- (\w+) (.*)$")
_NUMBER = re.compile(r"\d+")


def mend(known: Heard) -> Move:
    """The next step of a repair."""
    failure = str(known.task.get("failure") or "")
    if any(words in failure for words in ABOUT_DATASET):
        return write_dataset(known)
    if ABOUT_SCRIPT in failure:
        return write_script(known)
    checked = known.last("check_task")
    if checked is not None:
        return Move(f"The suite does not pass, and rules know no more: {checked.text[:1_000]}")
    found = gathered(known, *reading(known))
    if isinstance(found, Move):
        return found
    source = known.file(SCORERS_FILE)
    if isinstance(source, int):
        return read_on(source)
    if ABOUT_SCORERS in failure:
        return _repaired(known, found, source, dict(_NAMED.findall(failure)))
    planned = [mapping_of(each) for each in list_of(known.analysis.get("scorers"))]
    return _repaired(known, found, "", {str(each["name"]): "written anew" for each in planned})


def _repaired(known: Heard, found: Gathered, source: str, complaints: Mapping[str, str]) -> Move:
    """The scorers that were complained about written anew, loosened, or given up."""
    dropped: list[tuple[str, Mapping[str, Json]]] = []
    for name, complaint in complaints.items():
        code = _code(known, found, name, complaint)
        if code is not None:
            source = put(known, found, source, code)
            continue
        source = without(known, found, source, name)
        reason = f"rules cannot repair it: {complaint[:300]}"
        dropped.append(("drop_scorer", {"name": name, "reason": reason}))
    return use(
        _told(complaints, [str(arguments["name"]) for _, arguments in dropped]),
        *dropped,
        ("write_file", {"path": SCORERS_FILE, "content": source}),
        ("check_task", {}),
    )


def _code(known: Heard, found: Gathered, name: str, complaint: str) -> ScorerCode | None:
    """The scorer as it may pass; None where there is no such thing."""
    if name not in known_scorers() or any(words in complaint for words in BLIND):
        return None
    number = _NUMBER.search(str(known.task.get("id", "")))
    loosened = int(number[0]) if number and TOO_STRICT in complaint else 0
    return scorer_code(known, found, name, loosened)


def _told(complaints: Mapping[str, str], dropped: Sequence[str]) -> str:
    repaired = [name for name in complaints if name not in dropped]
    told = [f"repaired: {', '.join(repaired)}"] if repaired else []
    told += [f"given up: {', '.join(dropped)}"] if dropped else []
    return f"{'; '.join(told) or 'Nothing is named that could be repaired'}."
