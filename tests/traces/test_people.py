"""What people said of a trace becomes a verdict with its reasons, and nobody else's word does."""

import pytest
from mlflow.entities import AssessmentSource, Feedback
from recorder import judge, person

CODE = Feedback(name="ok", value=False, source=AssessmentSource(source_type="CODE"))


@pytest.fixture
def verdicts(recorder, surveyed):
    """Records a trace for each list of what was said; the rows, in that order, and the analysis."""

    def read(*said):
        ids = [recorder.trace({"q": f"{n}"}, said=tuple(each)) for n, each in enumerate(said)]
        found = surveyed()
        rows = {row.trace_id: row for row in found.rows}
        return [rows[each] for each in ids], found.analysis["people"]

    return read


def test_words_truth_values_thumbs_and_faults_are_understood(verdicts):
    table = [
        ("accepted", [person(True)]),
        ("rejected", [person(False)]),
        ("accepted", [person("Yes")]),
        ("rejected", [person("no.")]),
        ("accepted", [person("👍")]),
        ("rejected", [person("thumbs down")]),
        ("accepted", [person("Correct")]),
        ("rejected", [person("incorrect")]),
        ("rejected", [person(True, "hallucination")]),
        ("accepted", [person("no", "is_toxic")]),
        ("rejected", [person("bad", "is_toxic")]),
        ("accepted", [person(True, "case-1/human_review")]),
        ("rejected", [person("too short", "human_review")]),
        ("none", [person("formal", "tone")]),
        ("none", [person(["a", "b"], "topics")]),
        ("none", [judge(False)]),
        ("none", [CODE]),
        ("none", []),
    ]
    rows, people = verdicts(*(said for _, said in table))
    assert [row.verdict for row in rows] == [expected for expected, _ in table]
    assert len(people["accepted"]) == 6
    assert [row.is_good for row in rows] == [expected != "rejected" for expected, _ in table]


@pytest.mark.parametrize(
    ("name", "numbers", "expected"),
    [
        ("ok", [0, 1], ["rejected", "accepted"]),
        ("vote", [-1, 0, 1], ["rejected", "none", "accepted"]),
        ("quality", [1, 2, 3, 4, 5], ["rejected", "rejected", "none", "accepted", "accepted"]),
        ("quality", [0, 5, 10], ["rejected", "none", "accepted"]),
        ("quality", [90, 10], ["accepted", "rejected"]),
        ("rating", [1, 1], ["rejected", "rejected"]),
        ("toxicity_error", [1, 0], ["rejected", "accepted"]),
    ],
)
def test_numbers_say_something_at_the_ends_of_their_scale(verdicts, name, numbers, expected):
    rows, _ = verdicts(*([person(number, name)] for number in numbers))
    assert [row.verdict for row in rows] == expected


def test_reasons_are_kept_as_they_were_written_and_who_contradicts_rejects(verdicts):
    (first, second, third, disputed), people = verdicts(
        [person(False, why="Promises noon."), person("formal", "tone")],
        [person("This misses the second half of the question", "comment")],
        [person(True, why="Kind!")],
        [person(True), person(False, who="ben", why="no source")],
    )
    assert first.comments == ("Promises noon.", "tone: formal")
    assert second.comments == ("This misses the second half of the question",)
    assert (second.verdict, third.comments) == ("none", ("Kind!",))
    assert people["comments"][third.trace_id] == ["Kind!"]
    assert disputed.verdict == "rejected"
    assert people["contradictory"] == [disputed.trace_id]
    assert {*people["rejected"]} == {first.trace_id, disputed.trace_id}


def test_a_later_word_of_the_same_person_counts_and_what_was_taken_back_does_not(
    verdicts, recorder, surveyed
):
    def later(who):
        for value, time_ms in ((False, 1_000), (True, 2_000)):
            said = person(value, who=who)
            said.create_time_ms = said.last_update_time_ms = time_ms
            yield said

    (named, nameless), people = verdicts(later("ann"), later("default"))
    assert (named.verdict, nameless.verdict) == ("accepted", "rejected")
    assert people["contradictory"] == [nameless.trace_id]

    trace_id = recorder.trace({"q": "x"}, said=(person(False),))
    (first,) = recorder.tracing.get_trace(trace_id).info.assessments
    second = person(True)
    second.overrides = first.assessment_id
    recorder.tracing.log_assessment(trace_id, second)
    assert [row.verdict for row in surveyed().rows if row.trace_id == trace_id] == ["accepted"]
