"""What a person may say to the agent: as parameters, and as the request that it is given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from evalkit.agent import location
from evalkit.agent.model_client import OFFLINE, claude
from evalkit.agent.plan import Budget, Limits
from evalkit.agent.request import Request, budget_of
from evalkit.agent.run import aim
from evalkit.params import AgentParams
from evalkit.suite.sandbox import Policy, Sandbox
from evalkit.tracking import without_password


@dataclass(frozen=True, slots=True)
class Terms:
    """What a request comes to, before it is begun.

    Attributes:
        model: The model that answers.
        why: Why that one.
        budget: What may be spent.
        confinement: What confines the code, in words.
    """

    model: str
    why: str
    budget: Budget
    confinement: str


def settled(settings: AgentParams, sample: str | None) -> AgentParams:
    """The settings with what says which MLflow and which experiment they are about.

    Only an experiment that the config alone names is left out: it need not be there yet.

    Args:
        settings: As they were made.
        sample: The experiment of the demo's agent, where the demo is shown. The demo's sessions
            lie in its folder, and rules lead them: looking around must cost nothing.

    Raises:
        InputError: the config is wrong, or missing where it is needed.
    """
    if sample is not None:
        settings = replace(
            settings,
            experiment_id=settings.experiment_id or sample,
            model=settings.model or OFFLINE,
            volume_path=settings.volume_path or str(Path(settings.config).parent),
        )
    request = settings.request()
    named = request.session
    session = location.find_session(request.volume_path, named) if named else None
    uri, experiment = aim(request, session)
    is_named = settings.experiment_id or settings.session
    return replace(settings, tracking_uri=uri, experiment_id=experiment if is_named else None)


def terms_of(request: Request, *, is_sample: bool) -> Terms:
    """What a request comes to.

    Args:
        request: What the agent is asked to do.
        is_sample: Whether it is about the demo, where rules are taken unless somebody objects.

    Raises:
        InputError: the request is wrong, or cannot be kept to on this machine.
    """
    request.check()
    model, why = claude(request, lambda _: None)
    budget = budget_of(request, model)
    if is_sample and model is None:
        why = "a look at the demo is to cost nothing"
    return Terms(model.name if model else OFFLINE, why, budget, sandbox_of(request).name)


def sandbox_of(request: Request) -> Sandbox:
    """Where code of a suite runs.

    Raises:
        InputError: it cannot be confined here, and nobody said that it need not be.
    """
    return Sandbox(
        Policy(
            unconfined=request.unconfined,
            allow_network=request.allow_network,
            pass_env=request.pass_env,
        )
    )


def in_words(request: Request, terms: Terms) -> dict[str, str]:
    """What the agent is about to do, and by what means, by what a person asks first."""
    rules = "rules, no model, no cost" if terms.model == OFFLINE else "it reads and writes for you"
    return {
        "Model": f"{terms.model} ({rules}), because {terms.why}",
        "May spend": "nothing" if terms.model == OFFLINE else _spendable(terms.budget),
        "Its code runs": _confined(request, terms.confinement),
        "Reads traces from": without_password(request.tracking_uri or ""),
        "Keeps sessions in": f"{request.volume_path or '.'}/sessions",
    }


def _spendable(budget: Budget) -> str:
    total = "; ".join(_limits(budget.total)) or "as much as it takes"
    session = "; ".join(_limits(budget.session))
    each = f". Each session: {session}" if session else ""
    return f"{budget.sessions} sessions now; in all of them: {total}{each}"


def _limits(limits: Limits) -> list[str]:
    found = {
        "{:g} USD": limits.usd,
        "{:,} tokens": limits.tokens,
        "{:,} calls": limits.turns,
        "{:g} minutes": limits.minutes,
    }
    return [text.format(value) for text, value in found.items() if value is not None]


def _confined(request: Request, confinement: str) -> str:
    network = "; it may use the network" if request.allow_network else ""
    given = f"; it is given {', '.join(request.pass_env)}" if request.pass_env else ""
    return f"confined by {confinement}{network}{given}"
