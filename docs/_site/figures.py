"""The figures of the gallery: each is drawn by the code that stands above it, when the site is built."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from scalinglab.analysis import plot

FORMATS = ("svg", "pdf", "csv")
_CODE = re.compile(r"^```python\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def drawn(markdown: str) -> Iterator[tuple[int, Any]]:
    """Run the blocks of code of a page in their order.

    Yields
    ------
    (end, axes)
        Where a block ends, and the axes that it left as ``ax``, if it drew some.
    """
    named: dict[str, Any] = {}
    mpl.use("agg")
    for found in _CODE.finditer(markdown):
        before = named.pop("ax", None)
        exec(compile(found[1], "the page", "exec"), named)
        yield found.end(), named.get("ax")
        pyplot.close("all")
        named.setdefault("ax", before)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Put each figure below its code, with what can be taken along."""
    # Here, because tests draw the pages without mkdocs.
    from mkdocs.structure.files import File

    if not page.file.src_uri.startswith("gallery/"):
        return markdown
    parts, start = [], 0
    for k, (end, ax) in enumerate(drawn(markdown)):
        parts.append(markdown[start:end])
        start = end
        if ax is None:
            continue
        name = f"{Path(page.file.src_uri).stem}-{k}"
        with tempfile.TemporaryDirectory() as folder:
            for path in plot.save(ax, Path(folder) / name, FORMATS):
                content = path.read_bytes()
                files.append(File.generated(config, f"gallery/{path.name}", content=content))
        links = " · ".join(f"[{e.upper()}]({name}.{e})" for e in FORMATS)
        parts.append(f"\n![The figure of the code above]({name}.svg){{ .figure }}\n\n{links}\n")
    return "".join([*parts, markdown[start:]])
