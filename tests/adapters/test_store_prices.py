"""Models' prices: known by every safe spelling of a name, and otherwise not known."""

from __future__ import annotations

import subprocess
import sys

import pytest
from mlflow.tracing.utils import calculate_cost_by_model_and_token_usage

from evalkit.agent.model_client import DEFAULT_MODEL
from evalkit.core.price import Price
from evalkit.core.usage import Usage
from evalkit.store.prices import price_of_model

PRICE = Price(1.0, 10.0, 0.1, 2.0, 3.0)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(), 0.0),
        (Usage(input=2), 2.0),
        (Usage(output=2), 20.0),
        (Usage(cache_read=20), 2.0),
        (Usage(cache_write=3), 6.0),
        (Usage(cache_write=3, cache_write_1h=2), 2.0 + 6.0),
        (Usage(1, 1, 10, 2, 1), 1.0 + 10.0 + 1.0 + 2.0 + 3.0),
    ],
)
def test_every_kind_of_token_has_its_price(usage: Usage, usd: float) -> None:
    assert PRICE.cost(usage) == pytest.approx(usd)


def test_a_call_that_reads_much_costs_more_as_a_whole() -> None:
    price = Price(1.0, 1.0, 1.0, 1.0, 1.0, long_from=10, long=Price(2.0, 2.0, 2.0, 2.0, 2.0))
    assert price.cost(Usage(input=4, output=90, cache_read=6)) == 100.0
    assert price.cost(Usage(input=4, output=90, cache_read=7)) == 202.0


@pytest.mark.parametrize(
    ("name", "same_as"),
    [
        ("claude-opus-5-5-20261001", "claude-opus-5-5"),
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("anthropic/claude-sonnet-5-5", "claude-sonnet-5-5"),
        (" Claude-Sonnet-5-5 ", "claude-sonnet-5-5"),
        ("databricks/databricks-claude-opus-5", "databricks-claude-opus-5"),
        ("system.ai.databricks-claude-opus-5", "databricks-claude-opus-5"),
        ("databricks-claude-opus-5-20260101", "databricks-claude-opus-5"),
    ],
)
def test_one_model_has_one_price_however_it_is_written(name: str, same_as: str) -> None:
    assert price_of_model(name) == price_of_model(same_as)
    assert price_of_model(name) is not None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "claude",
        "claude-opus-99",
        "databricks-claude-opus-99",
        "us.anthropic.claude-opus-99",
        "claude-opus-5-5[2m]",  # a variant may cost more
        "our-claude-opus-5",  # an endpoint of one's own says nothing of what was agreed for it
        "gpt-5",
    ],
)
def test_what_is_not_known_is_not_known(name: str) -> None:
    assert price_of_model(name) is None


def test_a_region_has_its_own_price() -> None:
    anthropics, regions = (
        price_of_model(name) for name in ("claude-opus-5-5", "us.anthropic.claude-opus-5-5")
    )
    assert anthropics is not None
    assert regions is not None
    assert regions.input > anthropics.input


def test_the_default_model_is_priced() -> None:
    assert price_of_model(DEFAULT_MODEL) is not None


@pytest.mark.parametrize(
    "name", [DEFAULT_MODEL, "claude-sonnet-4-5", "databricks-claude-opus-5-5", "claude-haiku-4-5"]
)
def test_mlflow_comes_to_the_same_cost(name: str) -> None:
    usage = Usage(1000, 200, 5000, 300, 100)
    theirs = calculate_cost_by_model_and_token_usage(
        name,
        {
            # as MLflow has it, with what the cache holds
            "input_tokens": sum(usage.read),
            "output_tokens": usage.output,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation_input_tokens": usage.cache_write,
            "cache_creation_input_tokens_above_1hr": usage.cache_write_1h,
        },
        # without it, MLflow takes the first reseller's price that it comes across
        "databricks" if name.startswith("databricks") else "anthropic",
    )
    price = price_of_model(name)
    assert theirs is not None
    assert price is not None
    assert price.cost(usage) == pytest.approx(theirs["total_cost"])


def test_long_calls_of_older_models_cost_more() -> None:
    price = price_of_model("claude-sonnet-4-20250514")
    assert price is not None
    short, long = Usage(input=200_000), Usage(input=200_001)
    assert price.cost(long) > 1.9 * price.cost(short)


def test_no_price_is_asked_for_over_the_network() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('asked')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from evalkit.store.prices import price_of_model\n"
        "assert price_of_model('claude-opus-5-5') and not price_of_model('claude-opus-99')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, env={}, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
