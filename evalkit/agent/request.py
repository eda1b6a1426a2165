"""What the agent is asked to do, wherever it is asked from: command, job, page or program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from evalkit.agent.plan import Budget, Limits
from evalkit.core.errors import InputError, Problem

if TYPE_CHECKING:
    from evalkit.agent.claude import Claude

USUAL_USD = 5.0
USUAL_SESSIONS = 40


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent is asked to do.

    ``max_*`` bound all sessions together, ``session_*`` each one: calls of the model (turns),
    tokens, USD (cost), minutes.

    Attributes:
        experiment: With the traces, by name or id; None where the session knows it.
        session: The session that is gone on with; None to begin a new one.
        config: An evaluation's config, which may name the MLflow.
        tracking_uri: The MLflow; None for what the config, the environment or the default say.
        volume_path: Where session directories lie; None for the working directory.
        model: None for ``MODEL`` or Claude's newest, or rules where there is no key.
        base_url: Where Claude is reached; None for ``ANTHROPIC_BASE_URL`` or Anthropic.
        secret_scope: Databricks secret scope with the token for Claude.
        secret_key: The token's name there.
        own_experiment: Where the agent's own traces go, by name or id.
        sql_warehouse_id: Reads traces in tables of Unity Catalog.
        unconfined: Whether code runs unconfined where this machine cannot confine it.
        allow_network: Whether the code may use the network.
        pass_env: Environment variables that the code is given.
    """

    experiment: str | None = None
    session: str | None = None
    config: str = "eval.yaml"
    tracking_uri: str | None = None
    volume_path: str | None = None
    model: str | None = None
    base_url: str | None = None
    secret_scope: str | None = None
    secret_key: str | None = None
    own_experiment: str | None = None
    sql_warehouse_id: str | None = None
    max_sessions: int = USUAL_SESSIONS
    max_turns: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    max_minutes: float | None = None
    session_turns: int | None = 80
    session_tokens: int | None = None
    session_cost: float | None = None
    session_minutes: float | None = None
    unconfined: bool = False
    allow_network: bool = False
    pass_env: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise an InputError that names everything that is wrong without asking anybody."""
        if problems := list(self._problems()):
            raise InputError(*problems)

    def _problems(self) -> Iterator[Problem]:
        for name, value in asdict(self).items():
            if name.startswith(("max_", "session_")) and value is not None and not value > 0:
                flag = f"--{name}".replace("_", "-").replace("max-sessions", "max-iterations")
                yield Problem(f"{value:g} is no budget", field=flag, fix="a number above 0")
        if self.secret_key and not self.secret_scope:
            yield Problem("a key without its scope", field="--secret-key", fix="--secret-scope")
        for name in self.pass_env:
            if not name.replace("_", "a").isalnum():
                yield Problem(f"{name!r} is no variable", field="--pass-env", fix="its name alone")


def budget_of(request: Request, model: Claude | None) -> Budget:
    """What may be spent.

    Raises:
        InputError: the model's price is not known and no number of tokens was named, so that
            nothing would bound what it costs.
    """
    is_priced = model is None or model.is_priced
    if model is not None and not is_priced and request.max_tokens is None:
        raise InputError(
            Problem(
                f"the price of {model.name} is not known, so its cost cannot be bounded",
                field="--max-tokens",
                fix="say how many tokens it may take in total, such as --max-tokens 2000000",
            )
        )
    usd = USUAL_USD if request.max_cost is None and is_priced else request.max_cost
    one = (request.session_turns, request.session_tokens)
    return Budget(
        Limits(*one, request.session_cost, request.session_minutes),
        Limits(request.max_turns, request.max_tokens, usd, request.max_minutes),
        request.max_sessions,
    )
