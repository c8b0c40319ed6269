"""One image file to pixels: modes, orientation, size. What counts as an image and what as broken is said here alone."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Colour = Literal["auto", "rgb", "grey"]
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N"})
_ORIENTATION = 0x0112
_LYING = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


@dataclass(frozen=True)
class Header:
    """What a picture says of itself, turned upright."""

    width: int
    height: int
    mode: str


class BrokenImage(Exception):
    """A file that is no image that can be used; the message says why."""


def probe(path: str) -> Header:
    """Size and mode of an image that decodes; BrokenImage otherwise."""
    with _opened(path) as image:
        width, height, mode = image.width, image.height, image.mode
        lying = image.getexif().get(_ORIENTATION, 1) in _LYING
        image.draft(image.mode, (1, 1))  # a JPEG is read at an eighth of its size; every byte is still visited
        image.load()
        _flat(image, "grey")  # refuses what cannot be brought to eight bits
    return Header(height, width, mode) if lying else Header(width, height, mode)


def is_grey(mode: str) -> bool:
    """True for the modes that hold no colour (a palette counts as colour)."""
    return mode in _GREY_MODES


def pixels(path: str, size: tuple[int, int], colour: Colour) -> NDArray[np.uint8]:
    """The image as [C, H, W] of `size` (height, width); `auto` keeps grey images grey. BrokenImage if it cannot be decoded.

    Turned upright, resized (bilinear with antialiasing, aspect not kept), transparency dropped as torchvision does, 16 bits cut to 8.
    """
    from PIL import Image

    height, width = size
    found = upright(path, colour, least=2 * max(size))
    if found.size != (width, height):
        found = found.resize((width, height), Image.Resampling.BILINEAR)
    array = np.asarray(found)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def upright(path: str, colour: Colour, *, least: int) -> Image.Image:
    """The image as L or RGB of eight bits, turned upright. BrokenImage if it cannot be decoded.

    A JPEG whose sides are twice `least` or more is decoded at a reduced scale, no side below `least`: much faster, hardly another picture.
    """
    from PIL import ImageOps

    with _opened(path) as image:
        wanted = ("grey" if is_grey(image.mode) else "rgb") if colour == "auto" else colour
        image.draft(image.mode, (least, least))
        return _flat(ImageOps.exif_transpose(image), wanted)


def _flat(image: Image.Image, colour: Colour) -> Image.Image:
    """Eight bits a channel, L or RGB."""
    image = _eight_bits(image)
    if image.mode == "P":
        image = image.convert("RGBA")  # a palette with transparency converts to RGB this way only
    mode = "L" if colour == "grey" else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode in ("I", "F"):
        raise BrokenImage(f"values of 32 bits (mode {image.mode}); save it with 8 or 16 bits a channel")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))  # convert("L") would clip at 255
    return image


@contextmanager
def _opened(path: str) -> Iterator[Image.Image]:
    """An open image; whatever Pillow raises for a damaged file, here or while it decodes, becomes BrokenImage."""
    from PIL import Image, UnidentifiedImageError

    # Pillow's decoders raise all of these on damaged files
    damaged = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
    try:
        with Image.open(path) as image:
            yield image
    except UnidentifiedImageError as error:
        raise BrokenImage("not an image, or of a format that Pillow does not know") from error
    except (*damaged, Image.DecompressionBombError) as error:
        raise BrokenImage(f"{type(error).__name__}: {error}".replace(path, "it")) from error
