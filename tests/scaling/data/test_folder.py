"""Text and code in files: a file is a document, a large one several."""

import pytest

from scalinglab.scaling.data import folder
from scalinglab.scaling.errors import ConfigError
from tests.scaling.data.corpora import documents, store_of, texts_of


@pytest.fixture
def code(tmp_path):
    root = tmp_path / "code"
    (root / "tests").mkdir(parents=True)
    for i, text in enumerate(documents(200)):
        suffix = "py" if i % 2 else "md"
        (root / ("tests" if i >= 150 else ".") / f"{i:03d}.{suffix}").write_text(text)
    (root / "empty.py").write_text("")
    (root / ".git").mkdir()
    (root / ".git" / "hidden.py").write_text("nothing to read")
    return root


def test_patterns_and_conditions_choose_files(code, tmp_path):
    store = store_of(
        "folder", tmp_path, path=str(code), pattern="*.py,*.md", where="'tests/' not in path"
    )
    texts = texts_of(store) + texts_of(store, "validation")
    assert sorted(texts) == sorted(documents(200)[:150])
    assert store.manifest.facts["empty"] == 1 and store.manifest.facts["filtered"] == 50
    only = store_of("folder", tmp_path, path=str(code), pattern="*.py")
    assert sum(only.manifest.documents.values()) == 100


def test_a_large_file_is_several_documents_that_make_it_whole(tmp_path, monkeypatch):
    lines = "".join(f"{text}\n" for text in documents(300))
    (tmp_path / "one.txt").write_text(lines)
    monkeypatch.setattr(folder, "CHUNK", 500)
    store = store_of("folder", tmp_path, path=str(tmp_path / "one.txt"))
    texts = texts_of(store) + texts_of(store, "validation")
    assert len(texts) > 50 and sorted("".join(texts)) == sorted(lines)
    assert all(text in lines for text in texts)


def test_mixed_encodings_are_named_or_passed_over(code, tmp_path):
    (code / "old.py").write_bytes("Größe".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"old.py: byte 0xf6 is no utf-8: convert.*cp1252.*=skip"):
        store_of("folder", tmp_path, path=str(code), pattern="*.py")
    store = store_of("folder", tmp_path, path=str(code), pattern="*.py", unreadable="skip")
    assert store.manifest.facts["unreadable"] == 1
    latin = store_of("folder", tmp_path, path=str(code), pattern="*.py", encoding="latin-1")
    assert "Größe" in texts_of(latin) + texts_of(latin, "validation")


def test_what_is_no_text_is_refused(code, tmp_path):
    (code / "image.py").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ConfigError, match=r"image.py is a file of the kind PNG image"):
        store_of("folder", tmp_path, path=str(code), pattern="*.py")
