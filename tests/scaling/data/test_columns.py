"""What a store keeps of each document: read, written, checked, and left alone by who does not ask."""

import json

import numpy as np
import pytest

from scalinglab.scaling.data import build, jsonl
from scalinglab.scaling.data.columns import MOST_CATEGORIES
from scalinglab.scaling.data.documents import Rows
from scalinglab.scaling.data.scores import SCORES, VERSIONS
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.damage import DamagedFile
from tests.scaling.data.corpora import bpe, documents, store_of, texts_of, write_jsonl

TEXTS = documents(300)
SCORE = {text: i / 7 for i, text in enumerate(TEXTS)}
LANG = {text: ("en", "de", None)[i % 3] for i, text in enumerate(TEXTS)}


@pytest.fixture
def corpus(tmp_path):
    own = {"score": list(SCORE.values()), "lang": list(LANG.values())}
    return write_jsonl(tmp_path / "c" / "a.jsonl", TEXTS, **own)


def test_each_document_has_its_values(corpus, tmp_path):
    store = store_of("jsonl", tmp_path, path=str(corpus), columns=["score", "lang"])
    for part in ("train", "validation"):
        texts = texts_of(store, part)
        assert store.column(part, "score").values().tolist() == [SCORE[t] for t in texts]
        assert store.column(part, "lang").values().tolist() == [LANG[t] for t in texts]


def test_scores_are_computed_of_the_text(corpus, tmp_path):
    store = store_of("jsonl", tmp_path, path=str(corpus), scores=[*SCORES])
    for name, score in SCORES.items():
        assert store.column("train", name).values().tolist() == [score(t) for t in texts_of(store)]


def test_scores_say_what_they_say():
    code = 'x = 1  # one\n# a whole line\n"""A text."""\n'
    assert SCORES["comments"](code) == pytest.approx(28 / len(code), abs=0.02)
    assert SCORES["words"]("ab 12, c") == 2 / 8
    assert SCORES["compression"]("a" * 1000) < 0.05 < SCORES["compression"](TEXTS[0])


def test_a_store_is_named_and_hashed_as_before_where_no_column_is_kept(corpus, tmp_path):
    """Columns are another store of the same content; a tokenizer does not depend on them."""
    plain = store_of("jsonl", tmp_path, tokenizer=bpe(), path=str(corpus))
    kept = store_of("jsonl", tmp_path, tokenizer=bpe(), path=str(corpus), columns=["score"])
    assert plain.folder != kept.folder
    assert plain.manifest.content_hash == kept.manifest.content_hash
    assert "columns" not in json.loads((plain.folder / "manifest.json").read_text())
    assert plain.manifest.facts["tokenizer_hash"] == kept.manifest.facts["tokenizer_hash"]
    empty = store_of("jsonl", tmp_path, tokenizer=bpe(), path=str(corpus), columns=[], scores=[])
    assert empty.folder == plain.folder


def test_a_new_version_of_a_shipped_score_is_another_store(corpus, tmp_path, monkeypatch):
    options = {"path": str(corpus), "scores": ["words"]}
    first, other = (
        store_of("jsonl", tmp_path, path=str(corpus), scores=[s]).folder
        for s in ("words", "comments")
    )
    monkeypatch.setitem(VERSIONS, "words", 2)
    assert store_of("jsonl", tmp_path, **options).folder != first
    assert store_of("jsonl", tmp_path, path=str(corpus), scores=["comments"]).folder == other


class Killed(BaseException):
    """As by a signal: nothing is tidied up."""


def test_processes_and_a_kill_make_no_difference(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(jsonl, "CHUNK", 3_000)
    monkeypatch.setattr(build, "SMALL", 0)
    options = {"path": str(corpus), "columns": ["lang", "score"]}
    one, two = (store_of("jsonl", tmp_path / str(n), n, **options) for n in (1, 2))
    assert one.manifest == two.manifest
    monkeypatch.setattr(build, "NOTE_SECONDS", -1.0)
    written = build._Written.note
    seen = []

    def note(self):
        written(self)
        seen.append(self.chunks)
        if len(seen) == 3:
            raise Killed

    monkeypatch.setattr(build._Written, "note", note)
    with pytest.raises(Killed):
        store_of("jsonl", tmp_path / "3", **options)
    resumed = store_of("jsonl", tmp_path / "3", **options)
    assert resumed.manifest == one.manifest and seen[3] > seen[2]


def test_a_value_that_has_changed_is_found(corpus, tmp_path):
    store = store_of("jsonl", tmp_path, path=str(corpus), columns=["score"])
    path = store.folder / "train_column_0.bin"
    values = np.fromfile(path)
    values[3] += 1
    values.tofile(path)
    with pytest.raises(
        DamagedFile, match=r"train_column_0\.bin is damaged: .* values of the column 'score'"
    ):
        TokenStore(store.folder)
    values[:-1].tofile(path)
    with pytest.raises(DamagedFile, match="values of a column of float64"):
        TokenStore(store.folder)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, 2.0], {"columns": ["scor"]}, r"columns: no document has the column 'scor'; there"),
        ([1.0, "x"], {"columns": ["score"]}, r"'score' holds numbers and strings, as 'x'"),
        ([[1], [2]], {"columns": ["score"]}, r"line 1: .* 'score' .* neither a number nor a str"),
        ([10**400, 1], {"columns": ["score"]}, r"holds a whole number beyond all floats"),
        ([1, 2], {"scores": ["commments"]}, r"data\.options\.scores = 'commments' .*comments"),
        ([1, 2], {"columns": ["score", "score"]}, r"have 'score' twice"),
    ],
)
def test_mistakes_are_one_sentence(values, options, message, tmp_path):
    texts = documents(200)
    path = write_jsonl(tmp_path / "a.jsonl", texts, score=values * 100)
    with pytest.raises(ConfigError, match=message):
        store_of("jsonl", tmp_path, path=str(path), **options)


def test_a_column_of_names_is_no_column_of_categories(tmp_path):
    count = MOST_CATEGORIES + 1
    texts = [f"text {i}" for i in range(count)]
    path = write_jsonl(tmp_path / "a.jsonl", texts, url=[f"u{i}" for i in range(count)])
    with pytest.raises(ConfigError, match="'url' has more than 10,000 different strings"):
        store_of("jsonl", tmp_path, path=str(path), columns=["url"], validation_share=1000)


def test_a_score_of_ones_own_that_is_no_number_names_the_document(tmp_path, monkeypatch):
    monkeypatch.setitem(SCORES._definitions, "mine", lambda text: "good")
    path = write_jsonl(tmp_path / "a.jsonl", documents(5))
    with pytest.raises(ConfigError, match=r"scores = 'mine' gave 'good' for .*a\.jsonl, line 1"):
        next(_selected(path, scores=["mine"]))


def test_rows_of_ones_own_source_with_a_value_too_few_name_it(tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "a.jsonl", documents(5))

    def rows(self, content):
        return Rows({"text": ["a", "b"], "score": [1.0]}, lambda i: f"row {i}")

    monkeypatch.setattr(jsonl.JsonLines, "rows", rows)
    with pytest.raises(ConfigError, match=r"JsonLines\.rows\(\) gave 1 values of 'score' for 2 ro"):
        next(_selected(path))


def _selected(path, **options):
    source = jsonl.JsonLines(path=str(path), **options)
    return (source.select(source.rows(chunk.content)) for chunk in source.chunks())


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        (["a", "b\udc80"], {}, r"row 1: the column .text. .* at character 1 "),
        (iter("ab"), {}, "gave a str\\w*_iterator as the column 'text': a list is wanted"),
        ("ab", {}, "gave a str as the column 'text'"),
        (["a", "b"], {"scores": ["mine"]}, r"'mine' fails for row 1: ZeroDivisionError"),
    ],
)
def test_a_row_of_ones_own_source_that_is_no_document_names_itself(
    rows, options, message, monkeypatch
):
    monkeypatch.setitem(SCORES._definitions, "mine", lambda text: 1 / (text == "a"))
    source = jsonl.JsonLines(path="none", **options)
    with pytest.raises(ConfigError, match=message):
        source.select(Rows({"text": rows}, lambda i: f"row {i}"))
    with pytest.raises(ConfigError, match=r"rows\(\) gave a list: Rows are wanted"):
        source.select([])
