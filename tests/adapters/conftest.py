"""A store under test, a database that others share one after the other; and an agent in it."""

import pytest
from shop_agent import ShopAgent

from evalkit.store import connect


@pytest.fixture
def store(database_uri):
    return connect(database_uri)


@pytest.fixture
def key(request):
    return request.node.name


@pytest.fixture
def experiment_id(store, key):
    """An experiment of the test's own."""
    return store.experiment(f"/tests/{key}", create=True)


@pytest.fixture
def agent(store, experiment_id):
    return ShopAgent(store.uri, experiment_id)
