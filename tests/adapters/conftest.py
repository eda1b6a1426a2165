"""A store under test, and somebody else's agent at work in it; a module may have its own."""

import pytest
from shop_agent import ShopAgent

from evalkit.store import connect


@pytest.fixture
def store(tracking_uri):
    return connect(tracking_uri)


@pytest.fixture
def experiment_id(store, request):
    """An experiment of the test's own."""
    return store.experiment(request.node.name, create=True)


@pytest.fixture
def agent(tracking_uri, experiment_id):
    return ShopAgent(tracking_uri, experiment_id)
