"""evalkit in a process that may contact nobody but this machine, and says whom it contacted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def guarded(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command; the last line of its stderr lists the hosts that were contacted."""
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
