"""A scorer's task by rules: written with learned bounds, loosened if need be, else given up."""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.core.agent.analysis import Guideline
from evalkit.core.agent.code import (
    RouteForm,
    ScorerCode,
    known_scorers,
    with_scorer,
    without_scorer,
)
from evalkit.core.agent.code.measures import IN_THE_END
from evalkit.core.agent.suite import SCORERS_FILE
from evalkit.core.content import list_of, mapping_of
from evalkit.core.values import Json
from evalkit.flows.agent.rules.gathering import Gathered, gathered
from evalkit.flows.agent.rules.hearing import Heard
from evalkit.flows.agent.rules.moves import Call, Move, use
from evalkit.flows.agent.rules.planning import WHY, support

MOST_LOOSENED = 2
"""Times that bounds are widened before a scorer is given up."""

TOO_STRICT = "rows pass whose traces ended well"
"""What the check says about a scorer that refuses good rows."""


def write_scorer(known: Heard) -> Move:
    """The next step of a scorer's worker."""
    name = str(known.task.get("target", ""))
    dropped = known.last("drop_scorer")
    if dropped is not None:
        return Move(dropped.text if dropped.failed else f"{name} is given up: {dropped.text}")
    if name not in known_scorers():
        reason = "it needs judgement, and there are only rules to write it"
        return use(f"{name} is better left out.", ("drop_scorer", {"name": name, "reason": reason}))
    found = gathered(known, *reading(known))
    if isinstance(found, Move):
        return found
    source = known.file(SCORERS_FILE)
    if isinstance(source, int):
        return read_on(source)
    return _written(known, found, name, source)


def reading(known: Heard) -> tuple[Call, ...]:
    """The call that begins to read the scorers; none where they were read."""
    return () if known.of("read_file") else (Call("read_file", {"path": SCORERS_FILE}),)


def read_on(offset: int) -> Move:
    """Read what is left of the scorers."""
    arguments = {"path": SCORERS_FILE, "offset": offset}
    return use("There is more of the file.", ("read_file", arguments))


def _written(known: Heard, found: Gathered, name: str, source: str) -> Move:
    checked = known.last("check_task")
    failure = checked.text if checked else str(known.task.get("failure") or "")
    loosened = len(known.of("check_task")) + bool(known.task.get("failure"))
    if checked is not None and TOO_STRICT not in failure:
        reason = f"rules have no other way to write it: {failure[:300]}"
        return _given_up(known, found, name, source, reason)
    if TOO_STRICT not in failure:
        loosened = 0
    code = scorer_code(known, found, name, loosened)
    if code is None:
        reason = "it refuses good answers however wide its bounds are"
        return _given_up(known, found, name, source, reason)
    said = f"{name}, with wider bounds." if loosened else f"{name}, with the bounds learned."
    return use(
        said,
        ("write_file", {"path": SCORERS_FILE, "content": put(known, found, source, code)}),
        ("check_task", {}),
    )


def scorer_code(known: Heard, found: Gathered, name: str, loosened: int) -> ScorerCode | None:
    """The scorer with what was learned for it; None where its bounds cannot be wider still."""
    learned = found.learned(name)
    bounds = {route: looser(name, each["bound"], loosened) for route, each in learned.items()}
    bounds = {route: bound for route, bound in bounds.items() if bound is not None}
    if not bounds and name != "no_error":
        return None
    planned = [mapping_of(each) for each in list_of(known.analysis.get("scorers"))]
    own = next((each for each in planned if each.get("name") == name), {})
    wider = " Its bounds were widened because it refused good answers." if loosened else ""
    why = str(own.get("why") or f"{WHY[name]}. {support(learned)}") + wider
    return ScorerCode(name, bounds, why, [str(each) for each in list_of(own.get("evidence"))])


def looser(name: str, bound: Json, times: int) -> Json:
    """A bound that lets more pass; None where there is none."""
    if times == 0:
        return bound
    if times > MOST_LOOSENED:
        return None
    match name:
        case "in_time":
            return bound * 2**times
        case "length_usual":
            return [max(1, bound[0] // 4**times), bound[1] * 2**times]
        case "grounded":
            wider = bound - 0.25 * times
            return wider if wider > 0 else None
        case "parts_present" | "tools_worked" if times == 1:
            return bound[:1] if isinstance(bound, list) else IN_THE_END
        case "format_kept":
            return _outer(bound, MOST_LOOSENED - times)
    return None


def _outer(schema: Mapping[str, Json], levels: int) -> dict[str, Json]:
    """The schema's outer levels only."""
    kept = {"type": schema["type"]} if "type" in schema else {}
    if levels and "properties" in schema:
        kept["required"] = schema.get("required", [])
        kept["properties"] = {
            name: _outer(each, levels - 1) for name, each in schema["properties"].items()
        }
    return kept


def put(known: Heard, found: Gathered, source: str, code: ScorerCode) -> str:
    """The file of scorers with this one in it."""
    return with_scorer(source, code, forms(found), guidelines(known))


def without(known: Heard, found: Gathered, source: str, name: str) -> str:
    """The file of scorers without one."""
    return without_scorer(source, name, forms(found), guidelines(known))


def forms(found: Gathered) -> dict[str, RouteForm]:
    """What scorers have to know of each route."""
    return {
        route: RouteForm(list_of(profile.get("inputs")), list_of(profile.get("answer_at")))
        for route, profile in found.profiles.items()
    }


def guidelines(known: Heard) -> list[Guideline]:
    """The guidelines of the plan."""
    planned = [mapping_of(each) for each in list_of(known.analysis.get("guidelines"))]
    return [Guideline(str(each["name"]), str(each["text"])) for each in planned]


def _given_up(known: Heard, found: Gathered, name: str, source: str, reason: str) -> Move:
    """Give a scorer up, and leave the file without it if this session wrote it."""
    drop = ("drop_scorer", {"name": name, "reason": reason})
    said = f"{name} is better left out."
    if not known.of("write_file"):
        return use(said, drop)
    content = without(known, found, source, name)
    return use(said, ("write_file", {"path": SCORERS_FILE, "content": content}), drop)
