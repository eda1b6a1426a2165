"""Which model answers: Claude, here or on Databricks, or rules."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.agency.request import OFFLINE, USUAL_USD, Request
from evalkit.core.agent.budget import Budget, Limits
from evalkit.core.agent.conversation import Model
from evalkit.core.errors import InputError, Problem
from evalkit.core.tracking import is_on_databricks

if TYPE_CHECKING:
    from evalkit.adapters.claude import ClaudeSettings
    from evalkit.flows.agent.events import Watch


def model_of(request: Request, watch: Watch) -> Model:
    """The model that was asked for, or the best that there is a key for; without one, rules.

    Args:
        request: What is asked for.
        watch: Told when the model has to be waited for.

    Raises:
        InputError: there is no key for the model that was asked for, or it would go to a host
            that it is not for.
        DatabricksError: the secret cannot be read.
    """
    from evalkit.adapters.files.env_file import ENV_FILE, read_env_file
    from evalkit.flows.agent.rules import OfflineModel

    if request.model == OFFLINE:
        return OfflineModel()
    dotenv = read_env_file(Path(ENV_FILE))
    if request.model is None and _named(dotenv) == OFFLINE:
        return OfflineModel()
    if request.secret_scope or _is_served_here(request, dotenv):
        return _claude_of_workspace(request, dotenv, watch)
    from evalkit.adapters.claude import has_secret, settings_from_env

    if not has_secret(os.environ, dotenv) and request.model is None and request.base_url is None:
        return OfflineModel()
    settings = settings_from_env(
        os.environ, dotenv=dotenv, model=request.model, base_url=request.base_url
    )
    return _claude(settings, watch)


def why_this_model(request: Request, model: Model) -> str:
    """Why :func:`model_of` took that model, in words.

    Args:
        request: What is asked for.
        model: The model that it took.
    """
    from evalkit.adapters.files.env_file import ENV_FILE, read_env_file

    if request.model:
        return "it was asked for"
    named = _named(read_env_file(Path(ENV_FILE)))
    if model.name != OFFLINE:
        return "a key was found, and MODEL names it" if named else "a key was found"
    return "MODEL says so" if named == OFFLINE else "no key for Claude was found"


def budget_of(request: Request, model: Model) -> Budget:
    """What may be spent.

    Raises:
        InputError: the model's price is not known and no number of tokens was named, so that
            nothing would bound what it costs.
    """
    usd = request.max_cost
    if not model.is_priced:
        if request.max_tokens is None:
            raise InputError(
                Problem(
                    f"the price of {model.name} is not known, so its cost cannot be bounded",
                    field="--max-tokens",
                    fix="say how many tokens it may take in total, such as --max-tokens 2000000",
                )
            )
    elif usd is None:
        usd = USUAL_USD
    return Budget(
        Limits(
            request.session_turns,
            request.session_tokens,
            request.session_cost,
            request.session_minutes,
        ),
        Limits(request.max_turns, request.max_tokens, usd, request.max_minutes),
        request.max_sessions,
    )


def _named(dotenv: Mapping[str, str]) -> str:
    return os.environ.get("MODEL") or dotenv.get("MODEL", "")


def _is_served_here(request: Request, dotenv: Mapping[str, str]) -> bool:
    """Whether the workspace that this runs in is to serve Claude: a model is named, no key is."""
    from evalkit.adapters.claude import has_secret

    named = request.model or _named(dotenv)
    return bool(
        named
        and is_on_databricks(os.environ)
        and request.base_url is None
        and not has_secret(os.environ, dotenv)
    )


def _claude_of_workspace(request: Request, dotenv: Mapping[str, str], watch: Watch) -> Model:
    from evalkit.adapters import databricks
    from evalkit.adapters.claude import ClaudeSettings, settings_from_env

    if request.secret_scope:
        token = databricks.secret(request.secret_scope, request.secret_key or "databricks-token")
        base_url = request.base_url or databricks.claude_endpoint().base_url
        return _claude(
            settings_from_env(
                os.environ,
                dotenv=dotenv,
                model=request.model,
                base_url=base_url,
                auth_token=token,
            ),
            watch,
        )
    endpoint = databricks.claude_endpoint()
    model = request.model or _named(dotenv)
    return _claude(ClaudeSettings(endpoint.base_url, model, headers=endpoint.headers), watch)


def _claude(settings: ClaudeSettings, watch: Watch) -> Model:
    from evalkit.adapters.claude import ClaudeModel, Wait
    from evalkit.adapters.store.prices import price_of_model
    from evalkit.flows.agent.events import Event

    def waits(wait: Wait) -> None:
        text = f"{wait.why}: attempt {wait.attempt} of {wait.attempts} in {wait.seconds:.0f} s"
        watch(Event("wait", text))

    return ClaudeModel(settings, price=price_of_model, on_wait=waits)
