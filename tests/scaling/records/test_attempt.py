"""What an attempt says of itself, also in the words of earlier versions."""

import pytest

from scalinglab.scaling.records.attempt import Attempt, End, Owner, Progress
from scalinglab.scaling.records.failures import FailureClass
from scalinglab.scaling.records.state import Outcome

OWNER = {"host": "here", "boot": "b", "pid": 7, "started": 1.0, "lease_seconds": 60.0}


def test_an_owner_of_the_first_version_is_at_its_host():
    owner = Owner.from_dict(OWNER)
    assert owner.place == "here" and owner.job is None and owner.process_space is None
    later = Owner.from_dict(OWNER | {"node": "n3", "job": ["70_3", 1], "later": "key"})
    assert later.place == "n3" and later.job == ("70_3", 1)


def test_a_failure_of_before_classes_is_the_users():
    end = End.from_dict({"reason": "failed", "ended": 1.0, "error": "x"})
    assert end.failure == FailureClass.USER_ERROR and end.members == 1


def test_an_interruption_has_a_cause_and_is_no_failure():
    """As of a program that was killed when memory ran out: the next attempt takes less."""
    end = End.from_dict({"reason": "interrupted", "ended": 1.0, "class": "gpu_oom"})
    assert end.cause == FailureClass.GPU_OOM and end.failure is None
    assert Attempt(1, Owner.from_dict(OWNER), end).failure is None


@pytest.mark.parametrize("change", [{"reason": "gone"}, {"class": "bad luck"}])
def test_words_that_nobody_knows_are_refused(change):
    with pytest.raises(ValueError, match=f"'{next(iter(change.values()))}' is not a valid"):
        End.from_dict({"reason": Outcome.FAILED, "ended": 1.0} | change)


def test_progress_says_what_was_said_and_nothing_else():
    said = Progress.from_dict({"step": 3, "validation": {"2": 1.5}, "later": "key"})
    assert said == Progress(step=3, validation={2: 1.5}) and said.reached == 3
    assert Progress.from_dict({"start": 8}).reached == 0
