"""How long an experiment's survey takes, against merely paging its traces out of MLflow.

    python tests/bench/bench_survey.py [--traces 20000] [--keep DIRECTORY] [--rounds 2]

Traces are made up at random, of an agent with several routes, tools that fail now and then and a
conversation that grows with every step; judges have assessed one in ten, people one in fifty. The
first thousand are written through MLflow, the others are copies of these under other ids, made in
the database: ``--keep`` names a directory in which it stays for the next time. Each measurement is
a process of its own, in turns, since on a busy machine only ratios within one run mean anything;
the figures are the ratio of the CPU seconds, each at best, and the largest resident memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", MLFLOW_MODEL_CATALOG_URI="")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recorder import Recorder, judge, person, step

from evalkit.store import connect, traces_read
from evalkit.traces.report import opening
from evalkit.traces.sample import survey

EXPERIMENT = "a busy shop"
WRITTEN, LIMIT, MEMORY_MB = 1_000, 1.3, 400
ROUTES = ("answer_question", "refund", "track_parcel", "write_summary")
TOOLS = ("lookup_order", "search_policies", "issue_refund", "parcel_status", "send_mail")
ERRORS = ("order {n} not found", "HTTP 429 from https://api.shop/{n}", "timed out after {n} s")
WORDS = (
    "order parcel invoice refund lamp table broken late address customer please policy days paid "
    "shipped warehouse return label payment coupon account would could about because whether"
)


def fill(uri: str, traces: int) -> None:
    """Write the traces; some of them get what a judge or a person said."""
    chance, recorder = random.Random(7), Recorder(uri, EXPERIMENT)  # noqa: S311 - the same each time

    def text(words: int) -> str:
        return " ".join(chance.choices(WORDS.split(), k=words))

    for n in range(min(traces, WRITTEN)):
        question = f"Where is my order QM-{n % 900}? {text(12)}"
        messages = [{"role": "system", "content": text(150)}, {"role": "user", "content": question}]
        error = ERRORS[n % len(ERRORS)].format(n=n)
        reply, steps = text(chance.randint(40, 200)), []
        for at in range(chance.randint(1, 4)):
            found = {"rows": [{"id": i, "text": text(30)} for i in range(5)]}
            broken = error if chance.random() < 0.05 else ""
            asked = {"messages": list(messages)}
            steps.append(step("chat", asked, said(text(20)), kind="CHAT_MODEL"))
            order = {"order": f"QM-{n}"}
            steps.append(step(chance.choice(TOOLS), order, found, error=broken, under=2))
            messages += [
                {"role": "assistant", "content": text(20)},
                {"role": "tool", "content": json.dumps(found), "tool_call_id": f"c{at}"},
            ]
        steps.append(step("chat", {"messages": messages}, said(reply), kind="CHAT_MODEL"))
        judged = [judge(n % 3 > 0)] if n % 10 == 0 else []
        judged += [person(n % 3 > 0, why="so")] if n % 50 == 0 else []
        recorder.trace(
            {"question": question, "language": "en"},
            reply,
            *steps,
            name=chance.choice(ROUTES),
            error=error if chance.random() < 0.04 else "",
            took=2 + n % 17,
            said=tuple(judged),
        )


def said(text: str) -> dict[str, Any]:
    """A chat model's answer in OpenAI's form."""
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


def multiply(path: Path, times: int) -> None:
    """Copy all traces in the database so many times, under other ids and with other numbers."""
    base = sqlite3.connect(path)
    base.execute("CREATE TEMP TABLE first AS SELECT request_id FROM trace_info")
    keyed = {"trace_info": "request_id", "spans": "trace_id", "assessments": "trace_id"}
    keyed |= {"trace_tags": "request_id", "trace_request_metadata": "request_id"}
    for table, key in keyed.items():
        info = base.execute(f"PRAGMA table_xinfo({table})").fetchall()
        columns = [name for _, name, *_, hidden in info if not hidden]
        for copy in range(1, times):
            new = {key: f"substr({key}, 1, 31) || '{copy:04x}'"}
            new |= {"content": f"replace(content, 'QM-', 'QM-{copy}')"} if table == "spans" else {}
            if table == "assessments":
                new["assessment_id"] = f"'a-{copy:04x}' || substr(assessment_id, 7)"
            told = ", ".join(new.get(name, name) for name in columns)
            base.execute(
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {told} FROM {table}"  # noqa: S608
                f" WHERE {key} IN (SELECT request_id FROM first)"
            )
    base.commit()
    base.close()


def page(uri: str) -> None:
    """Send the requests of the survey's pass, and leave the spans as MLflow gives them."""
    store = connect(uri)
    experiment_id = store.experiment(EXPERIMENT, create=True)
    infos: Iterator[Any] = traces_read.search(store._gateway, experiment_id, "", 10**6)
    while some := [info.trace_id for info in islice(infos, traces_read.AT_A_TIME)]:
        store._gateway.tracking.batch_get_traces(some)


def look(uri: str) -> None:
    """Survey the experiment, and write the model's opening message."""
    store = connect(uri)
    found = survey(store, store.experiment(EXPERIMENT, create=True))
    print(len(found.rows), "rows,", len(opening(found)), "characters", file=sys.stderr)


def measured(path: Path, what: str) -> tuple[float, float]:
    """Seconds of CPU and megabytes of a process that does one of both."""
    command = [sys.executable, __file__, "--only", what, "--keep", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    cpu, megabytes = map(float, done.stdout.split())
    return cpu, megabytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", type=int, default=20_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", choices=["page", "look"])
    given = parser.parse_args()
    if given.only:
        # what opening the database takes is no part of either
        connect(f"sqlite:///{given.keep}").experiment(EXPERIMENT, create=True)
        begin = time.process_time()
        {"page": page, "look": look}[given.only](f"sqlite:///{given.keep}")
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(time.process_time() - begin, used)
        return
    with tempfile.TemporaryDirectory() as fresh:
        folder = given.keep or Path(fresh)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"shop-{given.traces}.db"
        if not path.exists():
            making = path.with_suffix(".part")
            making.unlink(missing_ok=True)
            fill(f"sqlite:///{making}", given.traces)
            multiply(making, given.traces // min(given.traces, WRITTEN))
            making.rename(path)
        rounds = [(measured(path, "page"), measured(path, "look")) for _ in range(given.rounds)]
    paged, looked = (min(each) for each in zip(*rounds, strict=True))
    ratio, memory = looked[0] / paged[0], looked[1]
    print(f"survey {looked[0]:.2f} s, paging {paged[0]:.2f} s of CPU, {memory:.0f} MB")
    print(f"ratio {ratio:.2f} (at most {LIMIT}), at most {MEMORY_MB} MB")
    sys.exit(ratio > LIMIT or memory > MEMORY_MB)


if __name__ == "__main__":
    main()
