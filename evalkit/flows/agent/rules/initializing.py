"""The initializer session by rules: look, plan, save."""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.core.content import list_of, mapping_of
from evalkit.core.values import Json
from evalkit.flows.agent.rules.gathering import gathered
from evalkit.flows.agent.rules.hearing import Heard, Use
from evalkit.flows.agent.rules.moves import Move, use
from evalkit.flows.agent.rules.planning import analysis_of

MOST_SAVES = 3


def analyse(known: Heard) -> Move:
    """The next step of the initializer."""
    saved = known.of("save_findings")
    if saved and not saved[-1].failed:
        return Move("The plan is saved. It was made by rules; its limits are named in it.")
    if len(saved) >= MOST_SAVES:
        return Move(f"The plan was refused, and rules cannot mend it: {saved[-1].text[:1_000]}")
    found = gathered(known)
    if isinstance(found, Move):
        return found
    if not found.report.get("traces"):
        return Move("The experiment has no traces yet, so there is nothing to build a suite from.")
    if not found.report.get("cases"):
        return Move("No trace shows what was asked, so rules have no case to build a suite from.")
    analysis = analysis_of(found)
    for refused in saved:
        analysis = _mended(analysis, refused)
    if saved and analysis == saved[-1].arguments:
        return Move(f"The plan was refused, and rules cannot mend it: {saved[-1].text[:1_000]}")
    return use("This is what the traces support.", ("save_findings", analysis))


def _mended(analysis: Mapping[str, Json], refused: Use) -> dict[str, Json]:
    """The analysis without what the refusal names."""

    def kept(ids: Json) -> list[Json]:
        return [each for each in list_of(ids) if str(each) not in refused.text]

    mended = dict(analysis)
    for part in ("findings", "scorers", "guidelines"):
        entries = [mapping_of(each) for each in list_of(analysis.get(part))]
        mended[part] = [{**entry, "evidence": kept(entry.get("evidence"))} for entry in entries]
    cases = [mapping_of(case) for case in list_of(analysis.get("cases"))]
    mended["cases"] = [case for case in cases if str(case.get("trace_id")) not in refused.text]
    mended["scorers"] = [each for each in mended["scorers"] if each["evidence"]]
    return mended
