"""A server that shows the notebooks in the browser, to this machine only."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from evalkit.arguments import ENVIRONMENT_PREFIX
from evalkit.errors import EvalkitError, InputError, Problem
from evalkit.params import OpenParams
from evalkit.ui import INSTALLED, START, Notebook, find, folder

COPIES = "evalkit-notebooks"
"""Folder for copies that a person may change, where the notebooks came with the package."""

USUAL_PORT = 2718
HOST = "127.0.0.1"
PATIENCE_S = 60.0
"""How long a server may take until it answers."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running marimo server; a browser must present the token, in the URL it does."""

    process: subprocess.Popen[bytes]
    port: int
    token: str

    def url(self, notebook: Notebook | None = None) -> str:
        """The address of marimo's list of the notebooks, or of one of them."""
        one = f"&file={notebook.file}" if notebook else ""
        return f"http://{HOST}:{self.port}/?access_token={self.token}{one}"

    def stop(self) -> None:
        """End the server, and the notebooks that run in it."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def serve(
    place: Path,
    *,
    port: int | None = None,
    edit: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Server:
    """Start marimo on a folder of notebooks, for this machine only, and wait until it answers.

    The port is marimo's usual one unless another is named, or a free one where that is taken. The
    notebooks see the environment besides this process's own.

    Raises:
        InputError: the port is taken.
        EvalkitError: the server ends at once, or stays silent.
    """
    chosen, token = _port(port), secrets.token_urlsafe(16)
    command = [sys.executable, "-m", "marimo", "edit" if edit else "run", str(place)]
    command += ["--headless", "--host", HOST, "--port", str(chosen), "--token-password-file", "-"]
    process = subprocess.Popen(
        command,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,  # marimo's own greeting, with another address
        start_new_session=True,  # Ctrl-C is ours to answer: marimo would ask back
    )
    server = Server(process, chosen, token)
    try:
        if process.stdin:  # not an argument: those can be seen by everyone on the machine
            with process.stdin as pipe:
                pipe.write(token.encode())
        _wait(server)
    except BaseException:  # Ctrl-C too: the server has a session of its own and would stay
        server.stop()
        raise
    return server


def _wait(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with closing(socket.socket()) as probe:
            probe.settimeout(1)
            if probe.connect_ex((HOST, server.port)) == 0:
                return
        if server.process.poll() is not None:
            raise EvalkitError("marimo ended before it answered; what it said stands above")
        if time.monotonic() > deadline:
            raise EvalkitError(f"marimo did not answer within {PATIENCE_S:.0f} s")
        time.sleep(0.1)


def _port(wanted: int | None) -> int:
    for each in (USUAL_PORT, 0) if wanted is None else (wanted,):
        with closing(socket.socket()) as probe:
            try:
                probe.bind((HOST, each))
            except OSError as error:
                why = error.strerror
            else:
                return int(probe.getsockname()[1])
    what = f"port {wanted or USUAL_PORT} cannot be used: {why}"
    raise InputError(Problem(what, field="--port", fix="name another, or none"))


def open_in_browser(asked: OpenParams, say: Callable[[str], None]) -> dict[str, str]:
    """Show the notebooks until the process is interrupted; ``folder`` and ``url``.

    Raises:
        InputError: there is no such notebook, or the port is taken.
        EvalkitError: the server does not start.
    """
    told = {name: getattr(asked, name) for name in ("config", "tracking_uri", "runs_dir")}
    environment = {ENVIRONMENT_PREFIX + name.upper(): said for name, said in told.items() if said}
    # a server left behind would stay open to all
    for ending in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(ending, signal.default_int_handler)
    place = folder()
    notebook = find(asked.notebook) if asked.notebook else START
    if asked.edit and place == INSTALLED:
        place = _own_copies(place, say)
    server = serve(place, port=asked.port, edit=asked.edit, environment=environment)
    url = server.url(notebook)
    say(f"the notebooks of {place}\n  {url}")
    say(
        "One server process, with your environment, serves everyone who has this link; it listens "
        f"on {HOST} only. Ctrl-C ends it."
    )
    try:
        if not asked.no_browser:
            import webbrowser

            webbrowser.open(url)
        server.process.wait()
    except KeyboardInterrupt:
        say("stopped")
    finally:
        server.stop()
    return {"folder": str(place), "url": url}


def _own_copies(place: Path, say: Callable[[str], None]) -> Path:
    target = Path(COPIES)
    target.mkdir(exist_ok=True)
    for source in (*place.glob("*.py"), *place.glob("*.css")):
        if not (target / source.name).exists():
            shutil.copy(source, target)
    say(f"you edit copies in {target}; those that were there are as you left them")
    return target
