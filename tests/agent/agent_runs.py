"""The agent as a user runs it: a folder, a shop's traces in MLflow, and Claude on loopback."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from commands import Forge
from store_state import state

from evalkit.tokens import Usage, cost_of

KEY = "sk-ant-made-up"
MODEL = "claude-opus-4-5"
assert cost_of(MODEL, Usage()) is not None

SHOP = "shop"
OWN = "evalkit-agent"
SUITE = "shop-evalkit"


@dataclass
class Agent:
    """``evalkit agent`` in a folder of its own."""

    forge: Forge
    root: Path
    database: Path

    @property
    def uri(self):
        return f"sqlite:///{self.database}"

    def start(self, claude, *flags, about=SHOP, env=None, as_json=True):
        """Start it; the session is called ``s`` unless flags say otherwise."""
        url = claude if isinstance(claude, str) else claude.url
        named = ("-e", about) if about else ()
        session = () if "--session" in flags else ("--session", "s")
        given = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": KEY, "MODEL": MODEL}
        where = () if "--tracking-uri" in flags else ("--tracking-uri", self.uri)
        end = ("--json",) if as_json else ()
        arguments = ("agent", *named, *session, *where, *end, *flags)
        return self.forge.start(*arguments, cwd=self.root, env={**given, **(env or {})})

    def run(self, claude, *flags, **more):
        """Run it to its end."""
        return self.start(claude, *flags, **more).wait()

    # -- what is left ---------------------------------------------------------------------------

    @property
    def folder(self):
        """The session directory."""
        return self.root / "sessions" / "s"

    def read(self, path):
        return (self.folder / path).read_text("utf-8")

    def tasks(self):
        """The tasks by their id."""
        return {task["task_id"]: task for task in json.loads(self.read("eval_tasks.json"))["tasks"]}

    def turns(self):
        """Every answered call of the journal, in order."""
        files = sorted(self.folder.glob("state/journal/*/[0-9]*[0-9].json"))
        return [json.loads(file.read_text("utf-8")) for file in files]

    def endings(self):
        """Why each session ended, in order."""
        files = sorted(self.folder.glob("state/journal/*/closing.json"))
        return [json.loads(file.read_text("utf-8"))["reason"] for file in files]

    def in_mlflow(self, experiment):
        """Every row of MLflow's tables that belongs to an experiment."""
        found = state(self.database, experiment)
        return {table: [dict(row) for row in rows] for table, rows in found.items()}
