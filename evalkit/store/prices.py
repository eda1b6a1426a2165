"""Models' prices, read from the price list that MLflow brings along; never from the network.

MLflow's own functions ask a server for a newer list first, forget what calls with a long prompt
cost, and take what is not listed for free; so its files are read as they are.
"""

from __future__ import annotations

import json
import re
from functools import cache

from evalkit.core.price import CACHE_WRITE_1H_RATIO, CACHE_WRITE_RATIO, Price
from evalkit.core.usage import model_key
from evalkit.core.values import Json
from evalkit.store.internals import price_list

_BEDROCK = re.compile(r"([a-z-]+\.)?anthropic\.claude")
_VARIANT = re.compile(r"\[[^\]]*\]$")


def price_of_model(name: str) -> Price | None:
    """What a model costs; None where that is not known for sure, which is never nothing.

    Dates, versions and prefixes in a name do not matter as long as everything of that name costs
    the same: a workspace's ``databricks-claude-…`` has the workspace's price, and a region's name
    on Bedrock the region's. A name of one's own, such as that of an endpoint, says no price,
    whatever model it holds: what is agreed for it is not in any list.

    Args:
        name: The model, as it is asked for.
    """
    name = name.strip().lower().removeprefix("system.ai.")
    if name.startswith(("databricks-", "databricks/")):
        return _listed("databricks", name.removeprefix("databricks/"))
    if _BEDROCK.match(name):
        return _prices("bedrock").get(name)
    name = name.removeprefix("anthropic/")
    return _listed("anthropic", name) if name.startswith("claude") else None


def _listed(provider: str, name: str) -> Price | None:
    prices = _prices(provider)
    if name in prices:
        return prices[name]
    alike = {price for other, price in prices.items() if _same(other, name)}
    return alike.pop() if len(alike) == 1 else None


def _same(one: str, other: str) -> bool:
    """Whether two names are one model's, in the same variant: ``[1m]`` may cost more."""
    return model_key(one) == model_key(other) and _variant(one) == _variant(other)


def _variant(name: str) -> str:
    found = _VARIANT.search(name)
    return found[0] if found else ""


@cache
def _prices(provider: str) -> dict[str, Price]:
    """All prices that the list has of a provider, by the models' names."""
    file = price_list(provider)
    if file is None or not file.is_file():
        return {}
    models = json.loads(file.read_text("utf-8")).get("models", {})
    found = {name: _price(entry.get("pricing") or {}) for name, entry in models.items()}
    return {name: price for name, price in found.items() if price}


def _price(listed: dict[str, Json]) -> Price | None:
    """An entry as a price; what is left out of it is taken for dear rather than for free."""
    read, written = _rate(listed, "input"), _rate(listed, "output")
    if not read or not written:
        return None
    cached, kept = _rate(listed, "cache_read"), _rate(listed, "cache_write")
    kept_1h = _rate(listed, "cache_write_1hr")
    threshold, long = _long(listed)
    return Price(
        read,
        written,
        read if cached is None else cached,
        read * CACHE_WRITE_RATIO if kept is None else kept,
        read * CACHE_WRITE_1H_RATIO if kept_1h is None else kept_1h,
        threshold,
        long,
    )


def _long(listed: dict[str, Json]) -> tuple[int, Price | None]:
    """From how many tokens on a call costs more, and what; the lowest where there are several.

    What a step leaves out costs as in shorter calls.
    """
    steps = [
        (int(step["threshold_tokens"]), _price({**listed, "long_context": None, **step}))
        for step in listed.get("long_context") or ()
    ]
    return min(steps, key=lambda step: step[0], default=(0, None))


def _rate(listed: dict[str, Json], kind: str) -> float | None:
    """USD a token."""
    value = listed.get(f"{kind}_per_million_tokens")
    return value / 1_000_000 if isinstance(value, (int, float)) else None
