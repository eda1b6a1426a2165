"""What a model's tokens cost, by the list of prices that the package genai-prices brings along.

Nothing is fetched. What a log says that its tokens did cost is another matter.
"""

from __future__ import annotations

import re
from datetime import datetime

from evalkit.core.usage import Usage

OUTPUT_RATIO = 5.0
CACHE_READ_RATIO = 0.1
CACHE_WRITE_RATIO = 1.25
CACHE_WRITE_1H_RATIO = 2.0
"""What all of Anthropic's prices of a token are, to that of an input token."""

WEB_SEARCH_USD = 0.01

_WORKSPACES = re.compile(r"^(system\.ai\.)?(databricks/)?databricks-|^anthropic/")
_REGIONS = re.compile(r"([a-z-]+\.)?anthropic\.claude")


def cost_of(model: str, usage: Usage, moment: datetime | None = None) -> float | None:
    """USD for the tokens of one call; None where the price is not known, which is never nothing.

    Dates and versions in a name do not matter. A model that a Databricks workspace offers costs
    what Anthropic takes for it, one of a region on Bedrock what the region does. A name of one's
    own, such as that of an endpoint, says no price: what is agreed for it is in no list.

    Args:
        model: The model, as it is asked for.
        usage: Of one call: longer ones of some models cost several times as much a token.
        moment: When it was; prices change. None for now.
    """
    from genai_prices import Usage as Tokens
    from genai_prices import calc_price

    name = _WORKSPACES.sub("", model.strip().lower())
    is_regions = _REGIONS.match(name)
    if not (is_regions or name.startswith("claude")):
        return None
    tokens = Tokens(
        input_tokens=sum(usage.read),
        output_tokens=usage.output,
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h,
    )
    provider = "aws" if is_regions else "anthropic"
    try:
        found = calc_price(tokens, name, provider_id=provider, genai_request_timestamp=moment)
    except LookupError:
        return None
    return float(found.total_price)
