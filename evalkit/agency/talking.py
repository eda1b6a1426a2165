"""``evalkit agent -i``: a conversation in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from evalkit.agency.building import opened
from evalkit.agency.reporting import report_of
from evalkit.agency.request import Request

if TYPE_CHECKING:
    from evalkit.flows.agent.events import Watch

Report = dict[str, Any]


def talk(request: Request, watch: Watch, listen: Callable[[], str | None]) -> Report:
    """Answer a person until they are done.

    Args:
        request: What is asked for; an experiment may be named later.
        watch: Told what happens, the model's words among it.
        listen: What the person says next; None at the end.

    Returns:
        The report of the session.

    Raises:
        InputError: the request is wrong.
        StoreAbsent: MLflow cannot be reached.
        ModelError: the model gives no answer; what was said is kept.
    """
    from evalkit.flows.agent.conversing import converse

    with opened(request, watch, may_roam=True) as agent:
        ending = converse(agent.means, listen)
        report = report_of(
            agent.means.directory,
            agent.about.session_id,
            model=agent.means.model.name,
            confinement=agent.means.workbench.confinement,
            sessions_run=1,
            validation={},
            verified=False,
        )
        report["ended"] = ending.reason if ending else "finished"
        return report
