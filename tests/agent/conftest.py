"""A shop's traces in MLflow, made once, and the agent beside a copy of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from agent_runs import SHOP, Agent
from commands import Forge
from shop_agent import ShopAgent

from evalkit.adapters.store import connect

ANSWERS = {
    "Where is order A-1001?": "Your order A-1001 left us on Monday. It arrives tomorrow.",
    "Can I return a lamp?": "Yes, you may return the lamp within 30 days. The return is free.",
    "Do you ship to Norway?": "Yes, we ship to Norway. The parcel takes 5 days and costs 12 EUR.",
    "What does a gift card cost?": "A gift card costs 10 EUR or more. You choose the amount.",
    "Is the shop open on Sunday?": "No, the shop is closed on Sunday. It opens on Monday at 9.",
    "How do I pay?": "You pay by card or by invoice. The invoice is due in 14 days.",
    "Do you repair lamps?": "Yes, we repair lamps. The repair takes 7 days and costs 20 EUR.",
    "Do you sell bulbs?": "Yes, we sell bulbs for every lamp. A bulb costs 4 EUR or more.",
    "Can I cancel my order?": "Yes, you may cancel the order until it leaves us, free of charge.",
    "How do I reach a person?": "You reach a person by telephone on weekdays, from 9 to 17.",
    "Do lamps have a warranty?": "Yes, every lamp has a warranty. The warranty lasts 24 months.",
}
REJECTED = ("Is the lamp dimmable?", "Yes, every lamp is dimmable. A dimmer costs 9 EUR or more.")
WHY = "only some lamps are dimmable"


@pytest.fixture(scope="session")
def shop_database(empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop's experiment: eleven good answers, one that people rejected, one that failed."""
    path = tmp_path_factory.mktemp("shop") / "mlflow.db"
    shutil.copy(empty_database, path)
    uri = f"sqlite:///{path}"
    store = connect(uri)
    shop = ShopAgent(uri, store.experiment(SHOP, create=True))
    for question, answer in ANSWERS.items():
        shop.answer(question, answer)
    store.annotate(shop.answer(*REJECTED), "correct", value=False, rationale=WHY, who="jo")
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
