"""What the agent is asked to do, wherever it is asked from: command, job, page or program."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from evalkit.agent.plan import Budget, Limits
from evalkit.errors import InputError, Problem

if TYPE_CHECKING:
    from evalkit.agent.claude import Claude

USUAL_USD = 5.0
USUAL_SESSIONS = 40


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent is asked to do; its fields are the flags of ``evalkit agent``.

    ``experiment`` may be left out where the session, or the config, knows it. ``max_*`` bound all
    sessions together, ``session_*`` each one: calls of the model (turns), tokens, USD (cost),
    minutes. Without ``model`` it is ``MODEL`` or Claude's newest, or rules where there is no key.
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
        problems = []
        for name, value in asdict(self).items():
            if name.startswith(("max_", "session_")) and value is not None and not value > 0:
                flag = f"--{name}".replace("_", "-").replace("max-sessions", "max-iterations")
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
    """What may be spent.

    Raises:
        InputError: the model's price is not known and no number of tokens was named, so that
            nothing would bound what it costs.
    """
    is_priced = model is None or model.is_priced
    if model is not None and not is_priced and request.max_tokens is None:
        what = f"the price of {model.name} is not known, so its cost cannot be bounded"
        fix = "say how many tokens it may take in total, such as --max-tokens 2000000"
        raise InputError(Problem(what, field="--max-tokens", fix=fix))
    usd = USUAL_USD if request.max_cost is None and is_priced else request.max_cost
    of_one = (request.session_turns, request.session_tokens, request.session_cost)
    total = Limits(request.max_turns, request.max_tokens, usd, request.max_minutes)
    return Budget(Limits(*of_one, request.session_minutes), total, request.max_sessions)
