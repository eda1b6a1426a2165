"""Nothing but what the user named is contacted, and that is the machine itself here."""

import json

from eval_project import RUN_ID
from guarded import guarded


def test_only_the_server_that_was_named_is_contacted(fresh_server, project):
    done = guarded("all", "--run-id", RUN_ID, "--tracking-uri", fresh_server.uri, cwd=project.root)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stderr.splitlines()[-1])) == {"127.0.0.1"}
