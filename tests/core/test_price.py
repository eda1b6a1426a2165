"""What models cost: known by every safe spelling of a name, and otherwise not known."""

import pytest

from evalkit.agent.model_client import DEFAULT_MODEL
from evalkit.tokens import Usage, cost_of

CALL = Usage(1000, 200, 5000, 300, 100)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(), 0.0),
        (Usage(input=2_000_000), 2.0),
        (Usage(cache_write=1_000_000), 1.25),
        (Usage(cache_write=3_000_000, cache_write_1h=2_000_000), 1.25 + 4.0),
    ],
)
def test_every_kind_of_token_has_its_price(usage, usd):
    assert cost_of("claude-haiku-4-5", usage) == pytest.approx(usd)


def test_long_calls_and_regions_have_their_own_prices():
    short, long = (Usage(read, 90, 60_000) for read in (30_000, 50_000))
    assert cost_of("claude-haiku-5-5", long) > 4 * cost_of("claude-haiku-5-5", short)
    assert cost_of("us.anthropic.claude-opus-5-5", CALL) > cost_of("claude-opus-5-5", CALL)


@pytest.mark.parametrize(
    ("name", "same_as"),
    [
        ("claude-opus-5-5-20261001", "claude-opus-5-5"),
        ("anthropic/claude-sonnet-5-5", "claude-sonnet-5-5"),
        ("system.ai.databricks-claude-opus-5", "claude-opus-5"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "eu.anthropic.claude-opus-4-5"),
        (DEFAULT_MODEL, DEFAULT_MODEL),
    ],
)
def test_one_model_has_one_price_however_it_is_written(name, same_as):
    assert cost_of(name, CALL) == cost_of(same_as, CALL) is not None


@pytest.mark.parametrize(
    "name",
    # a variant may cost more, and an endpoint of one's own says nothing of what was agreed for it
    ["", "claude", "us.anthropic.claude-opus-99", "claude-opus-5-5[2m]", "our-claude-opus-5"],
)
def test_what_is_not_known_is_not_known(name):
    assert cost_of(name, CALL) is None
