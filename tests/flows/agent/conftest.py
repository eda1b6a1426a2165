"""A shop's traces in MLflow, made once, and the agent beside a copy of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from agent_runs import SHOP, Agent
from commands import Forge
from shop_agent import ShopAgent
from suites import ANSWERS

from evalkit.adapters.store import connect


@pytest.fixture(scope="session")
def shop_database(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with a shop's experiment: one route with tools, and a request that failed."""
    path = tmp_path_factory.mktemp("shop") / "mlflow.db"
    shutil.copy(empty_database, path)
    uri = f"sqlite:///{path}"
    shop = ShopAgent(uri, connect(uri).experiment(SHOP, create=True))
    more = {
        "Is the shop open on Sunday?": "No, the shop is closed on Sunday. It opens on Monday at 9.",
        "How do I pay?": "You pay by card or by invoice. The invoice is due in 14 days.",
        "Do you repair lamps?": "Yes, we repair lamps. The repair takes 7 days and costs 20 EUR.",
    }
    for question, answer in (ANSWERS | more).items():
        shop.answer(question, answer)
    shop.answer("Hello?", error="the model is overloaded")
    return path


@pytest.fixture
def agent(shop_database: Path, forge: Forge, tmp_path: Path) -> Agent:
    """The agent in a folder of this test's own, with a copy of the shop's traces."""
    database = tmp_path / "store" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(shop_database, database)
    root = tmp_path / "work"
    root.mkdir()
    return Agent(forge, root, database)
