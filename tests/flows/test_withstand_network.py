"""Nothing but what the user named is contacted, and that is the machine itself here."""

import json
import subprocess
import sys

from eval_project import RUN_ID
from servers import clean_environment

GUARD = """
import sys
seen = []
def watch(event, arguments):
    if event == "socket.connect":
        seen.append(arguments[1][0] if isinstance(arguments[1], tuple) else "a local socket")
    elif event == "socket.getaddrinfo":
        seen.append(arguments[0])
    elif event in {"socket.gethostbyname", "socket.sendto"}:
        seen.append(str(arguments))
    else:
        return
    if seen[-1] not in {"127.0.0.1", "localhost", "a local socket"}:
        raise PermissionError(f"contacted {seen[-1]}")
sys.addaudithook(watch)
from evalkit.cli import main
code = main(sys.argv[1:])
print(__import__("json").dumps(seen), file=sys.stderr)
sys.exit(code)
"""


def guarded(*arguments, cwd):
    environment = clean_environment()
    for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_MODEL_CATALOG_URI"):
        environment.pop(name, None)  # evalkit has to see to it itself
    return subprocess.run(
        [sys.executable, "-c", GUARD, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_demo_contacts_nobody(tmp_path):
    done = guarded("demo", "here", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout.splitlines()[-1])
    assert reports["log-results"]["traces"] == 11
    assert reports["pull-feedback"]["annotations"] == 2
    assert json.loads(done.stderr.splitlines()[-1]) == []


def test_only_the_server_that_was_named_is_contacted(fresh_server, project):
    done = guarded("all", "--run-id", RUN_ID, "--tracking-uri", fresh_server.uri, cwd=project.root)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stderr.splitlines()[-1])) == {"127.0.0.1"}
