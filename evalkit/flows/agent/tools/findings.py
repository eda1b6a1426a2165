"""Tools that say what is to be built: the analysis, and what is left out of it later."""

from __future__ import annotations

from dataclasses import dataclass

from evalkit.core.agent.analysis import Analysis, cited, complaints
from evalkit.core.agent.task import plan_of
from evalkit.flows.agent.directory import SessionDirectory
from evalkit.flows.agent.evidence import Evidence
from evalkit.flows.agent.toolbox import Tool, ToolFailed


@dataclass(frozen=True, slots=True)
class DropScorer:
    """Arguments of drop_scorer."""

    name: str
    reason: str


def findings_tool(directory: SessionDirectory, evidence: Evidence) -> Tool:
    """The tool that saves the analysis; the plan follows from it."""

    def save(analysis: Analysis) -> str:
        known = {each for each in cited(analysis) if evidence.of(each) is not None}
        if wrong := complaints(analysis, known):
            raise ToolFailed("nothing was saved:\n- " + "\n- ".join(wrong))
        directory.save_analysis(analysis)
        directory.save_plan(plan_of(analysis))
        return f"saved; {len(analysis.scorers)} scorers and {len(analysis.cases)} cases are planned"

    return Tool(
        "save_findings",
        "Save what you found and what is to be built. The program makes the tasks of it. Cite for "
        "every finding, case and scorer the traces that it stands on. Call it once, at the end.",
        Analysis,
        save,
    )


def drop_tool(directory: SessionDirectory) -> Tool:
    """The tool that gives a planned scorer up."""

    def drop(asked: DropScorer) -> str:
        plan = directory.plan()
        scorers = [t for t in plan.tasks if t.kind == "scorer"] if plan else []
        left = [t for t in scorers if t.status != "dropped" and t.target != asked.name]
        if plan is None or asked.name not in {t.target for t in scorers}:
            raise ToolFailed(f"no scorer {asked.name} is planned")
        if not left:
            raise ToolFailed(f"{asked.name} is the last scorer; a suite without one proves nothing")
        if not asked.reason.strip():
            raise ToolFailed("say why the traces do not support it")
        directory.save_plan(plan.dropped(asked.name, f"dropped: {asked.reason.strip()}"))
        return f"dropped {asked.name}; take it out of SCORERS if it is there"

    return Tool(
        "drop_scorer",
        "Give a planned scorer up because the traces do not support it: it would refuse good "
        "answers or notice nothing. It is reported with your reason.",
        DropScorer,
        drop,
    )
