"""Files of the installed packages: by pattern, the same for any order of the folder."""

from pathlib import Path

import numpy as np

from scalinglab.scaling.data.installed import InstalledPackages
from tests.scaling.data.corpora import documents, store_of, texts_of


def test_all_packages_are_read_by_default():
    files = InstalledPackages(pattern="METADATA").files()
    assert any(p.parent.name.startswith("numpy-") for p in files)
    assert all(p.is_relative_to(Path(np.__file__).parent.parent) for p in files)


def test_a_licence_that_comes_often_is_counted_not_refused(tmp_path):
    licence = " ".join(documents(40))
    for i, text in enumerate(documents(120)):
        (tmp_path / "p" / f"package{i}").mkdir(parents=True)
        (tmp_path / "p" / f"package{i}" / "LICENSE.txt").write_text(f"{text}\n{licence}")
        (tmp_path / "p" / f"package{i}" / "code.py").write_text("no prose")
    store = store_of("installed", tmp_path, path=str(tmp_path / "p"))
    assert len(texts_of(store) + texts_of(store, "validation")) == 120
    assert store.manifest.facts["overlap"] > 0.5
