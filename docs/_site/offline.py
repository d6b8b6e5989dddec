"""The site is read without a network: what its theme takes from another host stands in assets/."""

from __future__ import annotations

import re
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.utils import get_relative_url

_SHIM = "https://unpkg.com/iframe-worker/shim"  # search in a page that is opened as a file
_FOREIGN = re.compile(r'<(?:script|img|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]*)')


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Lead the page to our copy.

    Raises
    ------
    PluginError
        If the page still takes anything from another host.
    """
    output = output.replace(_SHIM, get_relative_url("assets/iframe-worker.js", page.url))
    if foreign := _FOREIGN.search(output):
        raise PluginError(f"{page.file.src_uri} takes {foreign[1]} from another host")
    return output
