"""Colour bars of an SVG as gradients: matplotlib writes each as a picture of pixels."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from PIL import Image

_STOPS = 24
_IMAGE = re.compile(r'<image xlink:href="data:image/png;base64,\s*([^"]*)"([^>]*?)/>')
_KEPT = re.compile(r'\s(?:transform|x|y|width|height)="[^"]*"')


def with_gradients(text: str, salt: str) -> str:
    """An SVG whose colour bars are gradients; pictures of anything else stay.

    Parameters
    ----------
    text : str
    salt : str
        Keeps the ids of the gradients from those of other figures of a page.
    """
    count = 0

    def drawn(image: re.Match[str]) -> str:
        nonlocal count
        colours = _along_height(image[1])
        if colours is None:
            return image[0]
        count += 1
        name = f"{re.sub(r'[^A-Za-z0-9_-]', '-', salt)}-gradient-{count}"
        places = np.linspace(0, 1, len(colours))
        stops = "".join(
            f'<stop offset="{place:.4g}" stop-color="{colour}"/>'
            for place, colour in zip(places, colours, strict=True)
        )
        place = "".join(_KEPT.findall(image[2]))
        return (
            f'<linearGradient id="{name}" x1="0" y1="0" x2="0" y2="1">{stops}</linearGradient>'
            f'<rect{place} fill="url(#{name})"/>'
        )

    return _IMAGE.sub(drawn, text)


def _along_height(png: str) -> list[str] | None:
    """Colours from top to bottom of a picture whose rows have one colour each; None for others."""
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA"))
    opaque = pixels[:, pixels[..., 3].min(axis=0) == 255, :3]  # the edge may be half a pixel
    opaque = opaque[pixels[..., 3].max(axis=1) == 255]
    if not opaque.size or (opaque != opaque[:, :1]).any():
        return None
    rows = np.linspace(0, len(opaque) - 1, min(_STOPS, len(opaque))).round().astype(int)
    return ["#{:02x}{:02x}{:02x}".format(*opaque[row, 0]) for row in rows]
