"""Parquet and Arrow give the rows that JSON Lines of the same rows give."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scalinglab.scaling.data import arrow, build, parquet
from scalinglab.scaling.errors import ConfigError
from tests.scaling.data.corpora import documents, store_of, write_jsonl

TEXTS = documents(500)
LANGS = [{"lang": "en" if i % 3 else "de"} for i in range(500)]


def table():
    return pa.table(
        {"number": range(500), "text": TEXTS, "meta": LANGS, "other": ["x" * 500] * 500}
    )


def write_arrow(path, kind):
    with pa.OSFile(str(path), "wb") as sink:
        opener = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
        with opener(sink, table().schema) as writer:
            writer.write_table(table(), max_chunksize=70)


@pytest.mark.parametrize("kind", ["parquet", "file", "stream"])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_table_gives_the_store_of_its_rows(kind, processes, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "SMALL", 0)
    monkeypatch.setattr(parquet, "_TOGETHER", 3_000)  # several stretches of a row group
    monkeypatch.setattr(parquet, "_BATCH", 7)
    monkeypatch.setattr(arrow, "CHUNK", 3_000)
    path = tmp_path / f"a.{'parquet' if kind == 'parquet' else 'arrow'}"
    if kind == "parquet":
        pq.write_table(table(), path, row_group_size=130)
    else:
        write_arrow(path, kind)
    lines = write_jsonl(tmp_path / "a.jsonl", TEXTS, meta=LANGS)
    where = {"where": "meta.lang == 'en'"}
    wanted = store_of("jsonl", tmp_path / "1", path=str(lines), **where)
    source = "parquet" if kind == "parquet" else "arrow"
    store = store_of(source, tmp_path / "2", processes, path=str(path), **where)
    assert store.manifest.content_hash == wanted.manifest.content_hash
    assert store.manifest.facts["filtered"] == 167


MISTAKES = {
    "column": ({"text": "content"}, "no document has the column 'content'; there are: "),
    "no string": ({"text": "number"}, r"a.parquet, row 1 of group 0: the column 'number'"),
    "where": ({"where": "numbr > 3"}, "no document has the column 'numbr'; there are: .*number"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_the_column(name, tmp_path):
    options, message = MISTAKES[name]
    pq.write_table(table(), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=message):
        store_of("parquet", tmp_path, path=str(tmp_path / "a.parquet"), **options)


@pytest.mark.parametrize("source", ["parquet", "arrow"])
@pytest.mark.parametrize("damage", ["text", "cut"])
def test_what_is_no_such_file_is_refused(source, damage, tmp_path):
    path = tmp_path / f"a.{source}"
    if source == "parquet":
        pq.write_table(table(), path)
    else:
        write_arrow(path, "file")
    path.write_bytes(b"some text\n" * 40 if damage == "text" else path.read_bytes()[:-2_000])
    with pytest.raises(ConfigError, match=rf"a.{source} is no (parquet file|file of Arrow) that"):
        store_of(source, tmp_path, path=str(path))


def test_a_table_of_another_format_is_named(tmp_path):
    pq.write_table(table(), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match="that can be read .it is parquet: data=parquet reads"):
        store_of("arrow", tmp_path, path=str(tmp_path / "a.parquet"))
    with pytest.raises(ConfigError, match="of the kind parquet.* data=parquet reads it"):
        store_of("jsonl", tmp_path, path=str(tmp_path / "a.parquet"))
    lines = write_jsonl(tmp_path / "a.jsonl", TEXTS)
    with pytest.raises(ConfigError, match="looks like JSON: data=jsonl reads JSON Lines"):
        store_of("parquet", tmp_path, path=str(lines))


def test_rows_of_a_file_without_the_column_are_counted(tmp_path, caplog):
    pq.write_table(table(), tmp_path / "a.parquet")
    pq.write_table(table().drop_columns("text"), tmp_path / "b.parquet")
    facts = store_of("parquet", tmp_path, path=str(tmp_path)).manifest.facts
    assert (facts["rows"], facts["empty"]) == (2 * len(TEXTS), len(TEXTS))
    assert "b.parquet, row 1 of group 0" in caplog.text


def test_a_stream_is_read_once_for_all_its_chunks(tmp_path, monkeypatch):
    """From where the last chunk was: to begin anew for each would read the first ones each time."""
    path = tmp_path / "a.arrow"
    write_arrow(path, "stream")
    source = arrow.Arrow(path=str(path))
    chunks = [chunk.content for chunk in source.chunks()]
    opened = []
    monkeypatch.setattr(
        arrow, "_batches", lambda *given, own=arrow._batches: opened.append(given) or own(*given)
    )
    monkeypatch.setattr(arrow, "_cursor", arrow._Cursor())
    texts = [source.rows(content).columns["text"] for content in chunks]
    assert len(opened) == 1 and len(chunks) > 2
    assert source.rows(chunks[0]).columns["text"] == texts[0] and len(opened) == 2
