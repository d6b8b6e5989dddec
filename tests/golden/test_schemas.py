"""Programs that read what verbs print and what is stored go on to find what they read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.golden import product, schemas
from tests.golden.write import read

pytestmark = pytest.mark.usefixtures("early_fits", "undrawn_figures")

SCHEMAS = read("schemas")


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a person, who is in it."""
    with schemas.inside(tmp_path_factory.mktemp("person") / "lab"):
        yield Path.cwd()


@pytest.mark.parametrize("name", sorted(schemas.ANSWERS))
def test_an_answer_has_every_key_that_it_had(person: Path, name: str) -> None:
    assert schemas.differences(SCHEMAS["answers"][name], schemas.answer(name)) == []


def test_a_stored_fit_has_every_key_that_it_had(person: Path) -> None:
    schemas.answer("fit")
    saved = json.loads((person / "fit.json").read_text())
    assert schemas.differences(SCHEMAS["fit"], schemas.schema(saved)) == []


def test_stored_files_have_every_key_that_they_had(tmp_path: Path) -> None:
    product.train(tmp_path, {"tiny": {}}, {})
    gone = schemas.differences(SCHEMAS["stored"], schemas.stored(tmp_path))
    # Runs once had the keys of every optimizer and schedule; they have those of their own.
    others = {f".config.{key} is gone" for key in product.keys_of_other_choices("adamw", "wsd")}
    assert [line for line in gone if not line.endswith(tuple(others))] == []


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        pytest.param(code, arguments, id=" ".join(arguments))
        for code, several in schemas.ENDINGS.items()
        for arguments in several
    ],
)
def test_a_verb_ends_with_the_code_it_had(person: Path, code: int, arguments) -> None:
    ended, out, error = product.command(*arguments)
    assert ended == code, out + error
    assert error.startswith("error: ") or code == 0


def test_what_no_reader_expects_is_told() -> None:
    golden = {"a": {"b": "number"}, "c": ["text"], "d": None}
    assert schemas.differences(golden, golden | {"e": "truth"}) == []
    assert schemas.differences(golden, {"a": {}, "c": ["number"], "d": "text"}) == [
        ".a.b is gone",
        ".c[] is number, was text",
    ]
