"""How many rooms one case goes through on its way into MLflow."""

import sys
from importlib import import_module
from pathlib import Path

from eval_project import CASES, RUN_ID, scores_of

import evalkit as package

ROOMS = 53
"""Modules whose functions run while one case is logged, the formats of other agents' logs, each
asked whether a log is its own, as one; it only ever gets smaller."""


def test_logging_one_case_stays_in_few_rooms(evalkit, project):
    project.unlog(*CASES[1:])
    for case in CASES[1:]:
        project.remove(f"cases/{case}")
    project.summarise({CASES[0]: scores_of(CASES[0])})
    import_module("evalkit.log_run")  # what runs while it is imported is no way of a case
    evalkit("check")
    home, seen = str(Path(package.__file__).parent), set()

    def notice(frame, event, _):
        code = frame.f_code
        is_importing = code.co_name == "<module>" or "__qualname__" in code.co_names
        if event == "call" and not is_importing and code.co_filename.startswith(home):
            room = Path(code.co_filename).relative_to(home)
            seen.add("agent_logs" if room.parts[0] == "agent_logs" else room.as_posix())

    sys.setprofile(notice)
    try:
        outcome = evalkit("log-results", "--run-id", RUN_ID)
    finally:
        sys.setprofile(None)
    assert outcome.code == 0
    assert len(seen) <= ROOMS, "\n".join(sorted(seen))
