"""Pages of the site that stand elsewhere in the repository, and the links between them.

A page is read in two places: in the repository, where a link leads from file to file, and in the
site. Links are written for the repository; here they are led to where the site has the file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
PAGES = (
    "CHANGELOG.md",
    "analysis/replays/tables/README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/README.md",
    *(str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("examples/*/README.md"))),
    *(str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("notebooks/*.ipynb"))),
)
_LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)")
# Shown with the results and figures that they keep: one trains for minutes, one needs a trained study.
_NOT_RUN = ("lr_transfer.ipynb", "quickstart.ipynb")
_SHOWN = ("image/svg+xml", "image/png", "text/html", "text/plain")  # the first that there is


def on_files(files: Files, config: Any) -> Files:
    """Add the pages; a README is the page of its folder, a notebook is a page of its cells."""
    for name in PAGES:
        content = _cells(ROOT / name) if name.endswith(".ipynb") else (ROOT / name).read_text()
        files.append(File.generated(config, site_name(name), content=content))
    return files


def site_name(name: str) -> str:
    """The page of the site that shows a file of the repository."""
    if name == "README.md":
        return "index.md"
    return name.removeprefix("docs/").replace("README.md", "index.md").replace(".ipynb", ".md")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead the links of a page to where the site has their files; code shows the link's text."""
    shown = {site_name(name): name for name in PAGES}
    here = shown.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def lead(link: re.Match[str]) -> str:
        name = os.path.normpath(os.path.join(os.path.dirname(here), link[2]))
        start = os.path.dirname(page.file.src_uri)
        if name in PAGES or name.startswith("docs/") or name == "README.md":
            return link[1] + os.path.relpath(site_name(name), start or ".")
        return link[0]

    return _LINK.sub(lead, markdown)


def _cells(path: Path) -> str:
    """A notebook as Markdown, with what its cells show; pictures are drawn by running it."""
    notebook = nbformat.read(path, as_version=4)
    if path.name not in _NOT_RUN:
        where = {"metadata": {"path": str(path.parent)}}
        NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources=where,
            extra_arguments=["--log-level=ERROR"],  # a kernel of this machine, for this build
        ).execute()
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        elif cell.cell_type == "code":
            parts.append(f"```python\n{cell.source}\n```")
            parts += [_output(output) for output in cell.outputs]
    return "\n\n".join(parts)


def _output(output: Any) -> str:
    if output.output_type == "stream":
        return f"```text\n{output.text}\n```"
    kind = next(kind for kind in _SHOWN if kind in output.data)
    value = output.data[kind]
    if not value:  # a progress bar that is gone
        return ""
    if kind == "image/png":
        return f'<img alt="figure" src="data:image/png;base64,{value.strip()}">'
    if kind == "text/plain":
        return f"```text\n{value}\n```"
    # Blank lines would end the block of HTML.
    return "<div class='shown'>" + re.sub(r"\n\s*\n", "\n", value) + "</div>"
