"""What spans carry beside what went in, what came out and how it ended.

Beside the attributes that MLflow's UI reads, spans carry what the log says more, by names that
begin with ``evalkit.``:

- ``evalkit.time`` is ``inferred`` where begin or end is laid out rather than logged;
- ``evalkit.usage.output_basis`` says how a call's output tokens are known (``reconcile`` lists the
  ways), ``evalkit.usage.output_tokens_logged`` what its line said if that is a placeholder;
- ``evalkit.cost.usd`` is a call's cost where the log's own figures determine it;
- ``evalkit.usage.by_model`` and ``evalkit.remainder``, on a session, hold the result's figures and
  those of them that no call accounts for;
- ``evalkit.agent``, ``evalkit.result``, ``evalkit.hooks``, ``evalkit.retries``,
  ``evalkit.remarks``, ``evalkit.rate_limits``, ``evalkit.errors`` and
  ``evalkit.permission_denials`` are the log's events of these kinds;
- ``evalkit.step``, on a session, is the step of the case that it is of;
- ``evalkit.subagent.…`` is what was told about a subagent, whether or not its messages are there.
"""

from __future__ import annotations

from evalkit.core.conversation import ModelCall, Session, Subagent, ToolCall
from evalkit.core.reconcile import Reconciled
from evalkit.core.usage import provider_of
from evalkit.core.values import Json

TOKEN_USAGE = "mlflow.chat.tokenUsage"  # noqa: S105 - a key of MLflow's
COST = "mlflow.llm.cost"
MODEL = "mlflow.llm.model"
_PROVIDER = "mlflow.llm.provider"
_FORMAT = "mlflow.message.format"

UNKNOWN_COST: dict[str, Json] = {}
"""Keeps MLflow from pricing a call by its own list, which takes cached tokens for input twice."""


def session_attributes(session: Session, figures: Reconciled) -> dict[str, Json]:
    """What the span of a session carries."""
    attributes = dict(session.facts)
    if isinstance(hooks := attributes.get("evalkit.hooks"), dict):
        attributes["evalkit.hooks"] = list(hooks.values())
    if session.session_id:
        attributes["evalkit.session_id"] = session.session_id
    if session.step:
        attributes["evalkit.step"] = session.step
    totals = figures.totals
    if totals is None:
        return attributes
    attributes[TOKEN_USAGE] = figures.usage.as_mlflow(with_output=figures.is_output_known)
    attributes["evalkit.usage.by_model"] = {
        share.model or "all models": share.usage.as_mlflow(with_output=True)
        | ({"cost_usd": share.cost} if share.cost is not None else {})
        for share in totals.models
    }
    if figures.remainder:
        attributes["evalkit.remainder"] = figures.remainder
    if figures.prices:
        prices = {model: price.per_million for model, price in figures.prices.items()}
        attributes["evalkit.cost.usd_per_million_input_tokens"] = prices
    if not figures.priced and figures.cost is not None:
        # on the calls where all of theirs are known, else here: MLflow's charts add up all spans
        attributes[COST] = figures.cost
        if len(totals.models) == 1 and totals.models[0].model:
            attributes[MODEL] = totals.models[0].model
    return attributes


def call_attributes(call: ModelCall, figures: Reconciled) -> dict[str, Json]:
    """What the span of a model's message carries."""
    attributes: dict[str, Json] = {_FORMAT: "anthropic"}
    if call.message_id:
        attributes["evalkit.message_id"] = call.message_id
    if call.model:
        attributes[MODEL] = call.model
    if provider := provider_of(call.model):
        attributes[_PROVIDER] = provider
    if call.usage is not None:
        attributes[TOKEN_USAGE] = call.usage.as_mlflow(with_output=call.final)
        attributes[COST] = UNKNOWN_COST
        if call.final:
            attributes["evalkit.usage.output_basis"] = call.output_basis
        else:
            attributes["evalkit.usage.output_tokens_logged"] = call.usage.output
    if call.cost is not None:
        read, written = call.cost
        attributes["evalkit.cost.usd"] = read + written
        attributes["evalkit.cost.basis"] = "the price that the result's own figures come to"
        if figures.priced:
            attributes[COST] = {
                "input_cost": read,
                "output_cost": written,
                "total_cost": read + written,
            }
    return attributes


def tool_attributes(tool: ToolCall) -> dict[str, Json]:
    """What the span of a tool's call carries."""
    attributes: dict[str, Json] = {"evalkit.tool_use_id": tool.tool_use_id, **tool.facts}
    if tool.duration_ms is not None:
        attributes["evalkit.duration_ms"] = tool.duration_ms
    if tool.denied:
        attributes["evalkit.permission_denied"] = True
    return attributes


def subagent_attributes(agent: Subagent) -> dict[str, Json]:
    """What the span of a subagent carries."""
    attributes: dict[str, Json] = {"evalkit.subagent.background": agent.background, **agent.facts}
    if agent.agent_id:
        attributes["evalkit.subagent.id"] = agent.agent_id
    if agent.model:
        attributes["evalkit.subagent.model"] = agent.model
    if agent.closing is not None:
        attributes["evalkit.subagent.last_usage"] = agent.closing.as_mlflow(with_output=True)
    if not agent.thread.calls:
        attributes["evalkit.subagent.messages"] = "not in the log"
    return attributes
