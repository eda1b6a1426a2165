"""Links within the project are followed, others are named; dotted folders are read."""

import json

import pytest
from eval_project import RUN_ID

MAPPING = {"inputs": {"prompt": "input.yaml:prompt"}, "expectations": {}}


@pytest.fixture
def outside(tmp_path):
    """Beside the project: what no link may lead to."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.txt").write_text("a secret of the machine")
    (tmp_path / "outside/input.yaml").write_text("prompt: a secret of the machine\n")
    return tmp_path / "outside"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("cases/beta/skill.md", "SKILL.md"),
        ("cases/beta/docs/skill.md", "SKILL.md"),
        ("cases/beta/shared", "shared"),
    ],
)
def test_what_a_link_leads_to_within_the_project_is_read(evalkit, project, link, target):
    project.write("SKILL.md", "how to help")
    project.write("shared/skill.md", "how to help")
    place = project.root / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(project.root / target)
    name = link.removeprefix("cases/beta/") + ("/skill.md" if target == "shared" else "")
    expected = {"skill": f"{name}:__file__"}
    project.write("tmp/schema_mapping.json", {**MAPPING, "expectations": expected})
    done = evalkit("sync-dataset")
    assert (done.code, done.report["created"]) == (0, 3)


def test_a_link_may_lead_anywhere_in_the_git_repository(evalkit, project, outside, monkeypatch):
    (outside.parent / ".git").mkdir()
    (project.root / "cases/beta/notes.md").symlink_to(outside / "secret.txt")
    monkeypatch.chdir(project.root)
    report = evalkit("map", "--force").report
    assert report["notes"] == []
    assert "notes.md:__file__" in report["reasons"]


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("../../../outside/secret.txt", "leads out of"),
        ("/etc/hostname", "leads out of"),
        ("../../../outside", "leads out of"),
        ("../../.git/config", "leads out of"),
        ("nowhere", "a link to nothing"),
        ("loop", "leads"),
        ("..", "leads back"),
    ],
)
def test_a_link_that_is_not_followed_is_named_and_the_rest_goes_on(
    evalkit, project, outside, target, why
):
    assert outside.is_dir()
    project.write(".git/config", "[remote]\n")
    (project.root / "cases/beta/loop").symlink_to(target)
    done = evalkit("map", "--force")
    assert done.code == 0
    assert [note for note in done.report["notes"] if note.startswith("beta/loop") and why in note]
    assert "secret" not in json.dumps(done.report)
    done = evalkit("sync-dataset")
    assert (done.code, done.report["created"]) == (0, 3)
    assert "beta/loop" in done.err


def test_what_git_keeps_in_a_case_is_none_of_it(evalkit, project):
    project.write("cases/beta/.git/HEAD", "ref: refs/heads/main\n")
    project.write("cases/beta/notes/.gitkeep", "")
    assert "git" not in json.dumps(evalkit("map", "--force").report["reasons"])


def test_a_case_of_a_run_that_leads_out_is_refused_by_name_and_the_rest_is_logged(
    evalkit, project, outside
):
    (outside / "stdout.log").write_text("a secret of the machine")
    project.unlog("beta")
    (project.root / project.run_dir / "cases/beta").symlink_to(outside)
    done = evalkit("log-results", "--run-id", RUN_ID)
    assert done.code == 0
    assert list(done.report["receipt"]["refused"]) == ["beta"]
    assert "leads out of" in done.report["receipt"]["refused"]["beta"]
    assert "secret" not in done.out + done.err
