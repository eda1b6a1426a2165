"""A shop's traces in MLflow, made once, and the agent beside a copy of them."""

import shutil
from pathlib import Path

import pytest
from agent_runs import SHOP, Agent
from competent import Competent
from messages_server import messages_server
from shop_agent import open_shop


@pytest.fixture(scope="session")
def shop_database(empty_database, tmp_path_factory):
    """A shop's experiment."""
    path = shutil.copy(empty_database, tmp_path_factory.mktemp("shop") / "mlflow.db")
    open_shop(f"sqlite:///{path}", SHOP)
    return path


@pytest.fixture
def agent(shop_database, forge, tmp_path):
    """The agent in a folder of this test's own, with a copy of the shop's traces."""
    database = tmp_path / "store" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(shop_database, database)
    root = tmp_path / "work"
    root.mkdir()
    return Agent(forge, root, database)


@pytest.fixture(scope="session")
def planner(shop_database, forge, tmp_path_factory):
    """An agent that made its plan, and no more; tests get copies of what it left."""
    root = tmp_path_factory.mktemp("planned")
    (root / "work").mkdir()
    agent = Agent(forge, root / "work", Path(shutil.copy(shop_database, root / "mlflow.db")))
    with messages_server(Competent()) as server:
        done = agent.run(server, "--max-iterations", "1")
    assert done.report["error"].startswith("the budget of 1 session"), done.err
    assert server.answered == 2
    return agent


@pytest.fixture
def planned(agent, planner):
    """The agent where another one has made the plan."""
    shutil.copytree(planner.root, agent.root, dirs_exist_ok=True)
    return agent
