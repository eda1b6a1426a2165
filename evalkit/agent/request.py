"""What the agent is asked to do, wherever it is asked from: command, job, page or program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from evalkit.agent.plan import Budget, Limits
from evalkit.arguments import CommonParams, more, param, unseen
from evalkit.errors import InputError, Problem

if TYPE_CHECKING:
    from evalkit.agent.claude import Claude

USUAL_USD = 5.0


@dataclass(frozen=True)
class Request(CommonParams):
    """What the agent is asked to do, which are the flags of ``evalkit agent``.

    ``experiment_id``, a name or id, may be left out where the session, or the config, knows it.
    """

    config: str = param("eval.yaml", "The evaluation")
    experiment_id: str | None = param(
        None,
        "With the traces, by name or id; else the config's",
        "Experiment",
        link=True,
        short="-e",
    )
    model: str | None = param(
        None, "`offline` for rules; else Claude, or rules where there is no key"
    )
    max_cost: float | None = param(None, "USD, in all sessions; 5 if nothing is said", "Budget")
    max_iterations: int = param(40, "Sessions that may be led this time", "Most sessions")
    require_sandbox: bool = unseen(False, "The default; accepted from older scripts")
    unconfined: bool = param(False, "Run code where it cannot be confined, too")
    allow_network: bool = param(False, "Let the code use the network")
    session: str | None = unseen(
        None, "The session to go on with; a new one if none is named", link=True
    )
    volume_path: str | None = more(
        None, "Where session directories lie; else the working directory"
    )
    mlflow_agent_experiment_id: str | None = more(
        None,
        "Where the agent's own traces go, by id or name; else evalkit-agent",
        "The agent's own experiment",
    )
    sql_warehouse_id: str | None = more(
        None,
        "Reads traces in Unity Catalog tables; else MLFLOW_TRACING_SQL_WAREHOUSE_ID",
        "SQL warehouse",
    )
    max_turns: int | None = more(None, "Calls of the model, in all sessions", "Most calls")
    max_tokens: int | None = more(None, "Cached ones included, in all sessions", "Most tokens")
    max_minutes: float | None = more(None, "In all sessions", "Most minutes")
    session_turns: int | None = more(80, "Calls of the model in one session", "Calls a session")
    session_tokens: int | None = more(
        None, "Cached ones included, in one session", "Tokens a session"
    )
    session_cost: float | None = more(None, "USD, in one session", "USD a session")
    session_minutes: float | None = more(None, "In one session", "Minutes a session")
    anthropic_base_url: str | None = more(
        None, "Where Claude is reached; else ANTHROPIC_BASE_URL, else Anthropic"
    )
    secret_scope: str | None = more(None, "Databricks secret scope with Claude's token")
    secret_key: str | None = more(None, "The token's name there; else databricks-token")
    pass_env: tuple[str, ...] = more(
        (),
        "Environment variables that the code is given, with commas between",
        "Variables for the code",
    )

    def check(self) -> None:
        """Raise an InputError that names everything that is wrong without asking anybody."""
        problems = []
        for name, value in asdict(self).items():
            if name.startswith(("max_", "session_")) and value is not None and not value > 0:
                flag = f"--{name}".replace("_", "-")
                what = f"{value:g} is no budget"
                problems.append(Problem(what, field=flag, fix="a number above 0"))
        if self.secret_key and not self.secret_scope:
            what = "a key without its scope"
            problems.append(Problem(what, field="--secret-key", fix="--secret-scope"))
        for name in self.pass_env:
            if not name.replace("_", "a").isalnum():
                what = f"{name!r} is no variable"
                problems.append(Problem(what, field="--pass-env", fix="its name alone"))
        if problems:
            raise InputError(*problems)


def budget_of(request: Request, model: Claude | None) -> Budget:
    """What may be spent; an InputError where nothing would bound what a model costs."""
    usd = request.max_cost
    if model is None or model.is_priced:
        usd = USUAL_USD if usd is None else usd
    elif request.max_tokens is None:
        what = f"the price of {model.name} is not known, so its cost cannot be bounded"
        fix = "say how many tokens it may take in total, such as --max-tokens 2000000"
        raise InputError(Problem(what, field="--max-tokens", fix=fix))
    of_one = (request.session_turns, request.session_tokens, request.session_cost)
    total = Limits(request.max_turns, request.max_tokens, usd, request.max_minutes)
    return Budget(Limits(*of_one, request.session_minutes), total, request.max_iterations)
