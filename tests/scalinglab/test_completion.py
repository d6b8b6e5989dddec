"""What a shell offers where the cursor is."""

import shutil
import subprocess
import sys

import pytest

from scalinglab.cli import VERBS
from scalinglab.completion import SHELLS, complete, script
from scalinglab.own_groups import SHIPPED


def test_words_at_every_place_of_a_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scaling_conf" / "study").mkdir(parents=True)
    (tmp_path / "scaling_conf" / "study" / "mine.yaml").write_text("")
    (tmp_path / "outputs" / "studies" / "launched").mkdir(parents=True)
    assert complete("scaling pla", VERBS) == ["plan"]
    assert complete("scaling ", VERBS) == list(VERBS)
    assert complete("scaling plan study=mi", VERBS) == ["study=mine", "study=mixture"]
    assert complete("scaling status study=lau", VERBS) == ["study=launched"]
    assert "model=llama" in complete("scaling train seed=1 model=", VERBS)
    assert complete("scaling fit resam", VERBS) == ["resamples="]
    assert complete("scaling plan sched", VERBS) == ["schedule.", "schedule=", "schedules="]
    assert complete("scaling plan schedules=t", VERBS) == ["schedules=true"]
    assert complete("scaling nonsense x", VERBS) == []
    assert complete("scaling plan mod", VERBS) == ["model.", "model="]
    assert "model.width=" in complete("scaling plan model.w", VERBS)
    assert complete("scaling train execution.dev", VERBS) == ["execution.device="]
    assert complete("scaling status model.w", VERBS) == []
    assert complete("scaling fit law=chi", VERBS) == ["law=chinchilla"]
    assert complete("scaling replay scalebench", VERBS) == ["scalebench-moe", "scalebench-parallel"]


def test_a_folder_that_is_searched_twice_gives_each_name_once(monkeypatch):
    """In a checkout the folder conf is the shipped one."""
    monkeypatch.chdir(SHIPPED.parent)
    words = complete("scaling train schedule=", VERBS)
    assert "schedule=cosine" in words and len(words) == len(set(words))


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_what_follows_the_equals_sign(tmp_path):
    """Bash hands over the whole line, and takes what is offered for the part after "="."""
    program = tmp_path / "scaling"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom scalinglab.cli import main\nmain(sys.argv[1:])\n"
    )
    program.chmod(0o755)
    line = "scaling plan study=quick"
    asked = f'{script("bash")}\nCOMP_LINE="{line}"; COMP_POINT={len(line)}; _scaling; echo "${{COMPREPLY[@]}}"'
    answer = subprocess.run(
        ["bash", "-c", f'PATH="{tmp_path}:$PATH"\n{asked}'], capture_output=True, text=True
    )
    assert answer.stdout.strip() == "quickstart", answer.stderr


def test_each_shell_has_a_script_and_no_other(run):
    for shell in SHELLS:
        assert run("completion", shell) == (0, script(shell), "")
    code, _, err = run("completion", "tcsh")
    assert code == 2 and "bash, zsh, fish" in err
