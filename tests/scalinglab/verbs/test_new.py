"""The study file that a person starts from."""

from scalinglab.study_template import study_template


def test_what_is_written_plans_as_it_stands(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("new", "mine")
    file = tmp_path / "scaling_conf" / "study" / "mine.yaml"
    assert code == 0 and file.read_text() == study_template("mine")
    assert "scaling plan study=mine" in out
    code, out, err = run("plan", "study=mine", "launch.measure=off", "--json")
    assert code == 0, err


def test_nothing_is_replaced_and_names_are_checked(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("new", "mine")[0] == 0
    for arguments, words in [
        (("mine",), "is there already"),
        (("quickstart",), "none of the shipped studies"),
        (("two", "names"), "expected the name of one study"),
        ((), "expected the name of one study"),
        (("a-b",), "letters, digits and _"),
        (("mine2", "to=x.txt"), "is a .yaml file"),
    ]:
        code, _, err = run("new", *arguments)
        assert code == 2 and words in err, arguments
    assert [p.name for p in (tmp_path / "scaling_conf" / "study").iterdir()] == ["mine.yaml"]
