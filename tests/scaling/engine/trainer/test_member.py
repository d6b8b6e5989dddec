"""Members of a pack: none harms another, and a pack that is killed loses one save at most."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.trainer.loop import Training
from scalinglab.scaling.engine.trainer.trainer import train
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.prefixes import stored_checkpoints

LONG = {"tokens": 64 * 240}
# A life of a process that saves its pack after every chunk.
LIFE = """
import scalinglab.scaling.engine.trainer.loop
scalinglab.scaling.engine.trainer.loop.CHUNK_SECONDS = 0.1
train([Claim.acquire(folder, 60.0) for folder in folders], {}, execution)
"""


@pytest.fixture
def somewhere(tmp_path, outputs, make_run):
    """The same runs as folders of their own, below another outputs folder of some name."""

    def made(name, changes):
        below = tmp_path / name
        below.mkdir()
        (below / "data").symlink_to(outputs / "data")
        return [make_run(change, below=below) for change in changes]

    return made


def test_a_diverging_member_changes_no_bit_of_the_others(somewhere, train_run, curve_of):
    good = [{"seed": 0}, {"optimizer.lr": 0.003}]
    wild, calm = {"optimizer.lr": 1e13, "seed": 7}, {"optimizer.lr": 0.001, "seed": 7}
    with_it = somewhere("with", [good[0], wild, good[1]])
    without = somewhere("without", [good[0], calm, good[1]])
    assert train_run(*with_it) == train_run(*without) == "done"
    assert [f.state() for f in with_it] == ["done", "diverged", "done"]
    for i in (0, 2):
        assert curve_of(with_it[i]) == curve_of(without[i])


@pytest.mark.parametrize("how", ["cancelled", "lost"])
def test_a_member_that_leaves_changes_no_bit_of_the_others(somewhere, train_run, curve_of, how):
    changes = [{"seed": seed} for seed in (0, 1, 2)]
    undisturbed, folders = somewhere("undisturbed", changes), somewhere("disturbed", changes)
    train_run(*undisturbed)
    leaver = folders[1]

    def leave():
        owner = leaver.attempt_file(1, "json").read_text()
        suffix, number, text = ("cancel", 1, "") if how == "cancelled" else ("json", 2, owner)
        write_atomic(leaver.attempt_file(number, suffix), text)
        return False

    train_run(*folders, should_stop=leave)
    assert leaver.attempt(1).end.reason == how and leaver.done() is None
    for i in (0, 2):
        assert curve_of(folders[i]) == curve_of(undisturbed[i])


def test_a_finished_member_stands_still(make_run):
    folders = [make_run({"seed": seed}) for seed in (0, 1)]
    training = Training([Claim.acquire(f, 60.0) for f in folders], {}, ExecutionConfig())
    training.members[0].finished = True
    chunk = training.next_chunk()
    assert (chunk.lr[:, 0] == 0).all() and (chunk.lr[:, 1] > 0).all()
    training.abandon("interrupted", None)
    training.members[0].claim.release("interrupted")


def test_members_say_which_pack_they_are_in_before_they_have_trained(make_run):
    folders = [make_run({"seed": seed}) for seed in (0, 1)]
    training = Training([Claim.acquire(f, 60.0) for f in folders], {}, ExecutionConfig())
    said = [folder.progress(1) for folder in folders]
    assert said[0] == said[1]
    assert said[0].pack == f"{folders[0].run_id}-1"
    assert (said[0].members, said[0].saved, said[0].step) == (2, 0, None)
    training.abandon("interrupted", None)
    alone = Claim.acquire(folders[0], 60.0)
    Training([alone], {}, ExecutionConfig())
    assert folders[0].progress(2).pack is None
    alone.release("interrupted")


def test_a_kill_while_a_pack_is_saved_leaves_a_step_that_all_have(make_run, train_run, monkeypatch):
    """The process ends after the second of three members' files, again and again."""

    class Killed(BaseException):
        """Nothing is written after it, as after kill -9."""

    folders = [make_run({"seed": seed} | LONG) for seed in (0, 1, 2)]
    monkeypatch.setattr("scalinglab.scaling.engine.trainer.loop.CHUNK_SECONDS", 1e-9)
    monkeypatch.setattr(Training, "abandon", lambda *ignored: None)
    write, written = Training.write, []

    def counted(self, path, i, checkpoint):
        written.append(i)
        if len(written) == 11:  # three whole saves, and two of the fourth
            raise Killed
        return write(self, path, i, checkpoint)

    monkeypatch.setattr(Training, "write", counted)
    execution = ExecutionConfig(checkpoint_seconds=0.0)
    claims = [Claim.acquire(folder, 60.0) for folder in folders]
    with pytest.raises(Killed):
        train(claims, {}, execution)
    own = [{step for step, _ in stored_checkpoints(f.outputs, f.spec().science)} for f in folders]
    assert own[0] - own[2] and set.intersection(*own) == {folders[2].progress(1).saved} == {3}
    for claim in claims:
        claim.release("interrupted")
    train_run(*folders, should_stop=lambda: True)
    assert {folder.progress(2).start for folder in folders} == {3}


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_kill_9_of_a_pack_at_random_moments(somewhere, processes, train_run, curve_of, seed):
    changes = [{"seed": s} | LONG for s in (0, 1)] + [{"optimizer.lr": 0.003} | LONG]
    undisturbed, folders = somewhere("undisturbed", changes), somewhere("killed", changes)
    train_run(*undisturbed)
    rng = random.Random(seed)
    execution = ExecutionConfig(checkpoint_seconds=0.0)
    names = {"Claim": Claim, "train": train, "folders": folders, "execution": execution}
    for life in (1, 2):
        process = processes.Process(target=exec, args=(LIFE, names))
        process.start()
        reached, goal = 0, rng.randrange(20, 100) * life
        while process.is_alive() and reached < goal:
            time.sleep(0.002)
            reached = folders[0].progress(life).reached
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert folders[0].state() == "interrupted" and reached >= goal
    assert train_run(*folders) == "done"
    for before in (1, 2):  # saved after every chunk, so no chunk that it told of was lost
        for folder in folders:
            assert folder.progress(before + 1).start >= folder.progress(before).saved > 0
    for folder, other in zip(folders, undisturbed, strict=True):
        assert curve_of(folder) == curve_of(other)
        assert folder.record().machine.packs == [3, 3, 3]


def test_a_member_of_a_killed_pack_goes_on_alone(somewhere, processes, train_run):
    changes = [{"seed": s} | LONG for s in (0, 1)]
    folders, (alone,) = somewhere("killed", changes), somewhere("alone", changes[:1])
    execution = ExecutionConfig(checkpoint_seconds=0.0)
    names = {"Claim": Claim, "train": train, "folders": folders, "execution": execution}
    process = processes.Process(target=exec, args=(LIFE, names))
    process.start()
    while process.is_alive() and folders[0].progress(1).reached < 60:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert train_run(folders[0]) == train_run(alone) == "done"
    record = folders[0].record()
    assert record.started_at_step > 0 and record.machine.packs == [2, 1]
    final, expected = (f.record().final.validation_loss for f in (folders[0], alone))
    assert final == pytest.approx(expected, rel=1e-3)
