"""The documentation as a site: its pages, their links, formulas and figures, without its builder."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from scalinglab.analysis import REPLAYS
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.plot.files import data

ROOT = Path(__file__).parents[1]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
ELSEWHERE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md")
PAGES = sorted(
    {*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*/*.md")}
    | {ROOT / name for name in ELSEWHERE}
)
GALLERY = sorted(p for p in (ROOT / "docs" / "gallery").glob("*.md") if p.stem != "index")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text):
        name, _, heading = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not heading or heading in set(slugs(target)), link


def slugs(page: Path) -> Iterator[str]:
    """Anchors of the headings, as the site and as GitHub make them."""
    for title in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        kept = re.sub(r"[^\w\s-]", "", title).strip().lower()
        yield re.sub(r"\s", "-", kept)
        yield re.sub(r"[-\s]+", "-", kept)


def test_the_navigation_has_every_page() -> None:
    named = set(leaves(SITE["nav"]))
    pages = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}
    assert pages <= named
    assert {f"replays/{name}.md" for name in REPLAYS} <= named
    generated = {n for n in named - pages if not n.startswith(("reference/", "replays/"))}
    for name in generated:  # pages that stand elsewhere in the repository
        here = ROOT / name.replace("index.md", "README.md")
        assert here.exists() or here.with_suffix(".ipynb").exists(), name


def leaves(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for item in nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ():
        yield from leaves(item)


def test_nothing_comes_from_another_host() -> None:
    """The site is read without a network: no font, script or style from elsewhere."""
    assert SITE["theme"]["font"] is False
    assert not [
        url for key in ("extra_css", "extra_javascript") for url in SITE.get(key, ()) if ":" in url
    ]
    for page in (ROOT / "docs").rglob("*.md"):
        assert not re.search(r"!\[[^]]*\]\(https?:|<(img|script|link)\b", page.read_text()), page


def test_every_law_has_its_formula() -> None:
    page = (ROOT / "docs" / "formulas.md").read_text()
    assert [name for name in LAWS if f"`{name}`" not in page] == []
    assert page.count("$$") % 2 == 0


def test_formulas_become_mathml() -> None:
    formulas = hook("formulas")
    page = (ROOT / "docs" / "formulas.md").read_text()
    for formula in re.findall(r"\$\$(.*?)\$\$", page, re.DOTALL):
        shown = formulas.on_page_content(f'<div class="arithmatex">\\[{formula}\\]</div>')
        assert shown.startswith(("<math", '<div class="formulas"><math')), formula
        assert "\\" not in shown, formula


def test_formulas_of_one_line_stand_apart_for_narrow_screens() -> None:
    line = r'<div class="arithmatex">\[a = b, \qquad c = \left( d \qquad e \right)\]</div>'
    assert hook("formulas").on_page_content(line).count("<math") == 2


def test_names_of_functions_stand_apart_from_their_neighbours() -> None:
    line = r'<span class="arithmatex">\(a \log_{10} n + k \ln P\)</span>'
    shown = hook("formulas").on_page_content(line)
    assert re.search(r"<mi>a</mi><mspace[^>]*/><msub><mi>log</mi>.*?</msub><mspace[^>]*/>", shown)
    assert re.search(r"<mspace[^>]*/><mi>ln</mi><mspace[^>]*/><mi>P</mi>", shown)


@pytest.mark.long
@pytest.mark.usefixtures("early_fits")
@pytest.mark.parametrize("page", GALLERY, ids=lambda p: p.stem)
def test_the_code_of_the_gallery_draws(page: Path) -> None:
    figures = [ax for _, ax in hook("figures").drawn(page.read_text()) if ax is not None]
    assert figures
    assert all(len(data(ax)) for ax in figures)


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "_site" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
