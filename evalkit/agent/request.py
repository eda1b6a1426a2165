"""What the agent is asked to do, wherever it is asked from: command, job, page or program."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from evalkit.core.errors import InputError, Problem

USUAL_USD = 5.0
USUAL_SESSIONS = 40


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent is asked to do.

    Attributes:
        experiment: The experiment whose traces are looked at, by name or id; None where the
            session knows it.
        session: The session that is gone on with; None to begin a new one.
        config: An evaluation's config, which may name the MLflow.
        tracking_uri: The MLflow; None for what the config, the environment or the default say.
        volume_path: Where session directories lie; None for the working directory.
        model: The model; None for ``MODEL`` or Claude's newest, or rules where there is no key.
        base_url: Where Claude is reached; None for ``ANTHROPIC_BASE_URL`` or Anthropic.
        secret_scope: Databricks secret scope with the token for Claude.
        secret_key: The token's name there.
        own_experiment: Where the agent's own traces go, by name or id.
        sql_warehouse_id: The SQL warehouse that reads traces in tables of Unity Catalog; None for
            ``MLFLOW_TRACING_SQL_WAREHOUSE_ID``.
        max_sessions: Sessions that may be led this time.
        max_turns: Calls of the model, in all sessions.
        max_tokens: Tokens, in all sessions.
        max_cost: USD, in all sessions.
        max_minutes: Time, in all sessions.
        session_turns: Calls of the model in one session.
        session_tokens: Tokens in one session.
        session_cost: USD in one session.
        session_minutes: Time in one session.
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
        """Look at what can be wrong without asking anybody.

        Raises:
            InputError: names everything that is.
        """
        if problems := list(self._problems()):
            raise InputError(*problems)

    def _problems(self) -> Iterator[Problem]:
        limits = {
            "--max-iterations": self.max_sessions,
            "--max-turns": self.max_turns,
            "--max-tokens": self.max_tokens,
            "--max-cost": self.max_cost,
            "--max-minutes": self.max_minutes,
            "--session-turns": self.session_turns,
            "--session-tokens": self.session_tokens,
            "--session-cost": self.session_cost,
            "--session-minutes": self.session_minutes,
        }
        for flag, value in limits.items():
            if value is not None and not value > 0:
                yield Problem(f"{value:g} is no budget", field=flag, fix="a number above 0")
        if bool(self.secret_scope) != bool(self.secret_key) and self.secret_key:
            yield Problem("a key without its scope", field="--secret-key", fix="--secret-scope")
        for name in self.pass_env:
            if not name.replace("_", "a").isalnum():
                yield Problem(f"{name!r} is no variable", field="--pass-env", fix="its name alone")
