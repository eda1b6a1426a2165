"""Reviewing a run on disk: comments saved one by one, what lies around a case, the comparison."""

import pytest
from eval_project import RUN_ID
from in_mlflow import InMlflow

from evalkit import InputError, Workspace, reviewing


@pytest.fixture
def workspace(project):
    return Workspace.open(project.root / "eval.yaml")


@pytest.fixture
def found(workspace):
    return workspace.run(RUN_ID)


def test_comments_are_saved_and_taken_back(project, found):
    reviewing.save_comments(found, {"alpha": "", "beta": "too short"}, "ann")
    review, _ = reviewing.save_comments(found, {"alpha": None, "gamma": "no\nnever"}, "bob")
    assert review == reviewing.read_review(found)
    assert project.review.read_text() == (
        f"run_id: {RUN_ID}\nreviewer: ann\n"
        "feedback:\n  beta: too short\n  gamma: |-\n    no\n    never\n"
        "reviewers:\n  gamma: bob\n"
    )


def test_each_comment_keeps_its_own_reviewer_on_its_way_to_mlflow(project, evalkit, database_uri):
    found = Workspace.open(project.root / "eval.yaml").run(RUN_ID)
    for case, said, reviewer in [("alpha", "rude", "ann"), ("beta", "", "bob"), ("gamma", "", "")]:
        reviewing.save_comments(found, {case: said}, reviewer)
    evalkit("log-results", "--run-id", RUN_ID)
    evalkit("push-feedback", "--run-id", RUN_ID)
    people = {
        case: InMlflow(database_uri).feedback(case)["human_review"].source.source_id
        for case in ("alpha", "beta", "gamma")
    }
    assert people == {"alpha": "ann", "beta": "bob", "gamma": "ann"}


@pytest.mark.parametrize(
    ("seen", "meanwhile", "mine", "stays", "theirs"),
    [
        ({}, "feedback: {alpha: bad}\n", "", "bad", {"alpha": "bad"}),
        ({}, "feedback: {alpha: bad}\n", None, "bad", {"alpha": "bad"}),
        ({"alpha": "bad"}, "feedback: {beta: ''}\n", "worse", None, {"alpha": None}),
        ({"alpha": "bad"}, "feedback: {alpha: ''}\n", "worse", "", {"alpha": ""}),
        ({"alpha": "bad"}, "feedback: {alpha: bad}\n", "worse", "worse", {}),
        ({}, "feedback: {alpha: bad}\n", "bad", "bad", {}),
        ({}, "feedback: {beta: bad}\n", "", "", {}),
    ],
)
def test_nobody_writes_over_words_that_they_have_not_seen(
    project, found, seen, meanwhile, mine, stays, theirs
):
    project.review.write_text(meanwhile)
    review, in_the_way = reviewing.save_comments(found, {"alpha": mine}, seen=seen)
    assert (review.feedback.get("alpha"), in_the_way) == (stays, theirs)
    assert reviewing.read_review(found) == review


def test_what_others_wrote_meanwhile_is_kept(project, found):
    reviewing.save_comments(found, {"alpha": ""})
    theirs = project.review.read_text() + "  # look again\n  beta: hm\nmlflow_feedback: []\n"
    project.review.write_text(theirs)
    reviewing.save_comments(found, {"alpha": "oh"})
    assert project.review.read_text() == theirs.replace("alpha: ''", "alpha: oh")


def test_a_review_that_cannot_be_edited_stays_as_it_is(project, found):
    text = "feedback: &all\n  alpha: ''\nother: *all\n"
    project.review.write_text(text)
    with pytest.raises(InputError, match="edit it by hand"):
        reviewing.save_comments(found, {"beta": ""})
    assert project.review.read_text() == text


def test_around_a_case_stand_its_task_first_then_what_was_expected_then_what_came_of_it(
    project, workspace, found
):
    folder = f"{project.run_dir}/cases/alpha"
    project.write(f"{folder}/reply.md", "Dear alpha, my key is sk-ant-" + "a1B2c3D4" * 5)
    project.write(f"{folder}/shot.png", b"\x89PNG\xff")
    project.write(f"{folder}/huge.txt", "x" * (200_001))
    around = reviewing.read_surroundings(workspace, found, "alpha")
    assert list(around.given.items()) == [
        ("input.yaml: prompt", "please handle alpha"),
        ("expected.yaml: outcome", "alpha is handled"),
    ]
    assert set(around.produced) == {"reply.md", "shot.png", "huge.txt"}
    assert around.produced["reply.md"].startswith("Dear alpha, my key is ")
    assert "a1B2c3D4" not in around.produced["reply.md"]
    assert (around.produced["shot.png"], around.produced["huge.txt"]) == (None, None)


def test_a_case_whose_files_are_gone_shows_nothing_and_one_that_leads_outside_says_so(
    project, workspace, found
):
    project.remove("cases/beta")
    project.remove(f"{project.run_dir}/cases/beta")
    (project.root / "secret.txt").write_text("not yours")
    (project.root / project.run_dir / "cases/gamma/link.txt").symlink_to(
        project.root / "secret.txt"
    )
    assert reviewing.read_surroundings(workspace, found, "beta") == reviewing.Surroundings()
    produced = reviewing.read_surroundings(workspace, found, "gamma").produced
    assert list(produced) == ["link.txt"]
    assert produced["link.txt"].startswith("(not read: it leads out of ")


def test_what_a_judge_let_pass_and_a_person_did_not_comes_first(found):
    reviewing.save_comments(found, {"alpha": "rude", "beta": "", "gamma": "too long"})
    compared = reviewing.compare(found)
    assert [(p.case_id, p.judge, p.said, p.judged) for p in compared.disagreements] == [
        ("alpha", "polite", "fail", "pass"),
        ("gamma", "polite", "fail", "pass"),
        ("gamma", "quality", "fail", "pass"),
        ("beta", "polite", "pass", "fail"),
    ]
    assert [(each["judge"], each["labels"], each["standing"]) for each in compared.as_report()] == [
        ("polite", 3, "too few labels"),
        ("quality", 3, "too few labels"),
        ("tone", 0, "too few labels"),
        ("broken", 0, "too few labels"),
    ]
