"""The offline model: rules that build a baseline suite from the traces, without any model."""

from evalkit.flows.agent.rules.model import OfflineModel

__all__ = ["OfflineModel"]
