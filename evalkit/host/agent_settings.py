"""What a person may say to the agent: as parameters, and as the request that it is given."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from evalkit.agent import location
from evalkit.agent.model_client import OFFLINE, claude
from evalkit.agent.plan import Budget, Limits
from evalkit.agent.request import USUAL_SESSIONS, USUAL_USD, Request, budget_of
from evalkit.agent.run import aim
from evalkit.core.tracking import without_password
from evalkit.params import Project, param
from evalkit.suite.sandbox import Policy, Sandbox


@dataclass(frozen=True)
class AgentSettings(Project):
    """The parameters of ``evalkit agent``, under the same names."""

    experiment_id: str | None = param(
        None,
        "With the traces, by name or id; else the config's",
        link=True,
        label="Experiment",
    )
    model: str | None = param(
        None, "`offline` for rules; else Claude, or rules where there is no key"
    )
    max_cost: float | None = param(
        None, f"USD, in all sessions; {USUAL_USD:g} if nothing is said", label="Budget"
    )
    max_iterations: int = param(
        USUAL_SESSIONS, "Sessions that may be led this time", label="Most sessions"
    )
    require_sandbox: bool = param(
        False, "Refuse where that code cannot be confined; the default", shown="never"
    )
    unconfined: bool = param(False, "Run that code unconfined where it cannot be confined")
    allow_network: bool = param(False, "Let that code use the network")
    session: str | None = param(
        None, "The session to go on with; a new one if none is named", link=True, shown="never"
    )
    volume_path: str | None = param(
        None, "Where session directories lie; else the working directory", shown="more"
    )
    mlflow_agent_experiment_id: str | None = param(
        None,
        "Where the agent's own traces go, by id or name; else evalkit-agent",
        shown="more",
        label="The agent's own experiment",
    )
    sql_warehouse_id: str | None = param(
        None,
        "Reads traces in Unity Catalog tables; else MLFLOW_TRACING_SQL_WAREHOUSE_ID",
        shown="more",
        label="SQL warehouse",
    )
    max_turns: int | None = param(
        None, "Calls of the model, in all sessions", shown="more", label="Most calls"
    )
    max_tokens: int | None = param(
        None, "Cached ones included, in all sessions", shown="more", label="Most tokens"
    )
    max_minutes: float | None = param(None, "In all sessions", shown="more", label="Most minutes")
    session_turns: int | None = param(
        80, "Calls of the model in one session", shown="more", label="Calls a session"
    )
    session_tokens: int | None = param(
        None, "Tokens in one session", shown="more", label="Tokens a session"
    )
    session_cost: float | None = param(
        None, "USD in one session", shown="more", label="USD a session"
    )
    session_minutes: float | None = param(
        None, "Minutes of one session", shown="more", label="Minutes a session"
    )
    anthropic_base_url: str | None = param(
        None, "Where Claude is reached; else ANTHROPIC_BASE_URL, else Anthropic", shown="more"
    )
    secret_scope: str | None = param(
        None, "Databricks secret scope with Claude's token", shown="more"
    )
    secret_key: str | None = param(
        None, "The token's name there; else databricks-token", shown="more"
    )
    pass_env: str | None = param(
        None,
        "Environment variables that the code is given, with commas between",
        shown="more",
        label="Variables for the code",
    )


ELSEWISE = {
    "max_iterations": "max_sessions",
    "experiment_id": "experiment",
    "anthropic_base_url": "base_url",
    "mlflow_agent_experiment_id": "own_experiment",
}
"""Parameters that a request calls otherwise."""


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


def settled(settings: AgentSettings, sample: str | None) -> AgentSettings:
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
    request = request_of(settings)
    named = request.session
    session = location.find_session(request.volume_path, named) if named else None
    uri, experiment = aim(request, session)
    is_named = settings.experiment_id or settings.session
    return replace(settings, tracking_uri=uri, experiment_id=experiment if is_named else None)


def request_of(settings: AgentSettings, session: str | None = None) -> Request:
    """What the agent is asked to do.

    Args:
        settings: The parameters.
        session: The session to begin or to go on with; else the one that they name, or a new one.
    """
    taken = {field.name for field in fields(Request)}
    given: dict[str, Any] = {
        ELSEWISE.get(field.name, field.name): getattr(settings, field.name)
        for field in fields(settings)
    }
    names = (name.strip() for name in (settings.pass_env or "").split(","))
    given["pass_env"] = tuple(name for name in names if name)
    given["session"] = session or settings.session
    return Request(**{name: value for name, value in given.items() if name in taken})


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


def told(request: Request, terms: Terms) -> dict[str, str]:
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
