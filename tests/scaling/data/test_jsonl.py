"""JSON Lines: every row once, whatever compresses it; each mistake by file and line."""

import gzip
import json

import pyarrow as pa
import pytest

from scalinglab.scaling.data import documents as shared
from scalinglab.scaling.data import lines
from scalinglab.scaling.errors import ConfigError
from tests.scaling.data.corpora import documents, store_of, texts_of, write_jsonl

TEXTS = documents(400)


def both(store):
    return sorted(texts_of(store) + texts_of(store, "validation"))


def test_plain_and_compressed_files_give_one_store(tmp_path):
    plain = write_jsonl(tmp_path / "plain" / "a.jsonl", TEXTS).read_bytes()
    (tmp_path / "gz").mkdir()
    (tmp_path / "gz" / "a.jsonl.gz").write_bytes(gzip.compress(plain))
    (tmp_path / "zst").mkdir()
    halves = (plain[: len(plain) // 2], plain[len(plain) // 2 :])  # two frames
    frames = [pa.compress(half, "zstd", asbytes=True) for half in halves]
    (tmp_path / "zst" / "a.jsonl.zst").write_bytes(b"".join(frames))
    stores = [store_of("jsonl", tmp_path, path=str(tmp_path / n)) for n in ("plain", "gz", "zst")]
    assert both(stores[0]) == sorted(TEXTS)
    assert len({store.manifest.content_hash for store in stores}) == 1
    assert stores[0].manifest.documents["validation"] > 5


def test_chunks_that_meet_give_each_line_once(tmp_path, monkeypatch):
    path = write_jsonl(tmp_path / "a.jsonl", TEXTS)
    whole = store_of("jsonl", tmp_path / "whole", path=str(path))
    from scalinglab.scaling.data import jsonl

    monkeypatch.setattr(jsonl, "CHUNK", 97)  # shorter than a line
    parts = store_of("jsonl", tmp_path / "parts", path=str(path))
    assert parts.manifest.content_hash == whole.manifest.content_hash


def test_rows_are_chosen_by_columns_of_any_depth(tmp_path):
    path = tmp_path / "a.jsonl"
    rows = [
        {"body": text, "score": i / 400, "meta": {"lang": "en" if i % 2 else "de"}}
        for i, text in enumerate(TEXTS)
    ]
    path.write_text("\n".join(map(json.dumps, rows)))  # no end of the last line
    store = store_of(
        "jsonl",
        tmp_path,
        path=str(path),
        text="body",
        where="score >= 0.5 and meta.lang == 'en'",
    )
    assert both(store) == sorted(t for i, t in enumerate(TEXTS) if i >= 200 and i % 2)
    assert store.manifest.facts["filtered"] == 300


def test_a_column_may_be_in_some_files_only(tmp_path):
    write_jsonl(tmp_path / "c" / "a.jsonl", TEXTS[:200])
    write_jsonl(tmp_path / "c" / "b.jsonl", TEXTS[200:], score=[1.0] * 200)
    store = store_of("jsonl", tmp_path, path=str(tmp_path / "c"), where="score > 0")
    assert both(store) == sorted(TEXTS[200:])


def test_empty_documents_are_counted(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [*TEXTS, "", "", None])
    facts = store_of("jsonl", tmp_path, path=str(path)).manifest.facts
    assert (facts["empty"], facts["rows"]) == (3, 403)


LINE = b'{"text": "a"}\n'
BAD = {
    "encoding": (
        LINE * 2 + b'{"text": "caf\xe9"}\n',
        "line 3: byte 0xe9 is no UTF-8; mend the line",
    ),
    "no json": (LINE * 9 + b"{'text': 1}\n", "line 10: it is no JSON"),
    "no object": (b'"a"\n', "line 1: it holds a value of the type str, an object"),
    "surrogate": (LINE + b'{"text": "\\ud800"}\n', "line 2: it holds half of a surrogate pair"),
    "CSV": (b"id,text\n", r"line 1: it is no JSON: Expecting value at character 1 \(.*like CSV"),
    "TSV": (b"1\ta\n", r"Extra data at character 3 \(.*like CSV or TSV: data=hf reads"),
    "UTF-16": ("{}".encode("utf-16") + b"\n", r"byte 0xf[ef] is no UTF-8 \(.*like UTF-16"),
    "UTF-16 without a mark": ('{"text": 1}'.encode("utf-16-le"), r"holds zeros, as UTF-16 does"),
    "old lines": (LINE.replace(b"\n", b"\r") * 2, r"its lines end in CR alone"),
    "pretty": (b'{\n"text": "a"}\n', "an object over several lines is not JSON Lines"),
    "list": (b'[{"text": "a"}]\n', "holds a value of the type list, an object is wanted"),
    "array": (b'[\n{"text": "a"}]\n', "an array over several lines is not JSON Lines"),
    "torn": (LINE + b'{"text": "a', "line 2: it is no JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_line_that_cannot_be_read_is_named_or_passed_over(name, tmp_path):
    content, message = BAD[name]
    path = tmp_path / "a.jsonl"
    path.write_bytes(content + b"".join(b'{"text": "%d"}\n' % i for i in range(100)) * 2)
    with pytest.raises(ConfigError, match=message):
        store_of("jsonl", tmp_path, path=str(path))
    if name not in ("torn", "UTF-16 without a mark", "old lines"):  # which join what follows
        store = store_of("jsonl", tmp_path, path=str(path), unreadable="skip")
        assert store.manifest.facts["unreadable"] == (2 if name in ("array", "pretty") else 1)


def test_many_rows_without_text_are_told(tmp_path, caplog):
    write_jsonl(tmp_path / "c" / "a.jsonl", TEXTS)
    lines = [json.dumps({"content": text}) for text in TEXTS[:100]]
    (tmp_path / "c" / "b.jsonl").write_text("\n".join(lines))
    store_of("jsonl", tmp_path, path=str(tmp_path / "c"))
    assert "100 of 500 rows have no text in the column 'text'" in caplog.text
    assert "b.jsonl, line 1" in caplog.text


def test_a_column_of_no_text_is_not_said_to_be_absent(tmp_path):
    write_jsonl(tmp_path / "a.jsonl", [None] * 9)
    with pytest.raises(ConfigError, match="the column 'text' holds no text in any of the first"):
        store_of("jsonl", tmp_path, path=str(tmp_path / "a.jsonl"))


MISTAKES = {
    "no path": ({}, "data.options.path is not set: a file of JSON Lines"),
    "no file": ({"path": "nowhere"}, "'nowhere': there is no such file or folder"),
    "no match": ({"pattern": "*.tex"}, r"no file in it or below matches \*.tex"),
    "column": (
        {"text": "content"},
        "no document has the column 'content'; there are: meta, score, text",
    ),
    "where": ({"where": "scor > 1"}, "data.options.where: no document has the column 'scor'"),
    "grammar": (
        {"where": "score = 1"},
        "data.options.where = 'score = 1': cannot be read.*write ==",
    ),
    "types": ({"where": "score > 'a'"}, r"data.options.where = .*a.jsonl, line 1 on"),
    "number": ({"text": "score"}, r"line 1: the column 'score' .* '0.5' \(float\); a string is"),
    "nested": ({"text": "meta"}, r"line 1: .* by paths: data.options.text=meta.body"),
    "nothing left": ({"where": "score > 9"}, "of 50 rows none is a document: 0 are empty, 50 are"),
    "no validation": ({"validation_share": 10**9}, "validation part has none of its 50 documents"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence_and_leave_nothing(name, tmp_path):
    options, message = MISTAKES[name]
    nested = [{"id": 1, "body": text} for text in TEXTS[:50]]
    write_jsonl(tmp_path / "c" / "a.jsonl", TEXTS[:50], score=[0.5] * 50, meta=nested)
    options = (
        options if "path" in options or not options else {"path": str(tmp_path / "c")} | options
    )
    with pytest.raises(ConfigError, match=message):
        store_of("jsonl", tmp_path / "out", **options)
    assert not (tmp_path / "out" / "data").exists() or not list(
        (tmp_path / "out" / "data").iterdir()
    )


@pytest.mark.parametrize("packed", [False, True])
def test_one_huge_line_is_refused_before_memory_is_full(packed, tmp_path, monkeypatch):
    from scalinglab.scaling.data import jsonl

    for module in (shared, lines, jsonl):
        monkeypatch.setattr(module, "LONGEST", 10_000)
    path = write_jsonl(tmp_path / "a.jsonl", [*TEXTS[:50], "x" * 20_000, "a"])
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(ConfigError, match="line 51, has more than 10,000 bytes.*one object a line"):
        store_of("jsonl", tmp_path, path=str(path))


def test_a_damaged_archive_is_named(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", TEXTS)
    path.write_bytes(gzip.compress(path.read_bytes())[:-200])
    with pytest.raises(ConfigError, match="a.jsonl cannot be decompressed"):
        store_of("jsonl", tmp_path, path=str(path))
