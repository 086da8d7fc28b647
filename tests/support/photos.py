"""Photos for tests that need real ones, made by Pillow: not by what Lading reads them with."""

from __future__ import annotations

import os
from io import BytesIO

from PIL import Image


def jpeg(width: int = 640, height: int = 480, *, size: int = 0, **options: object) -> bytes:
    """A JPEG with a gradient and some noise; `size` makes it that many bytes long.

    `options` are those of Pillow's JPEG encoder, such as `quality` and `exif`.
    """
    noise = Image.effect_noise((width, height), 40)
    red = Image.linear_gradient("L").resize((width, height))
    blue = red.transpose(Image.Transpose.ROTATE_180)
    kept = BytesIO()
    Image.merge("RGB", (red, noise, blue)).save(kept, "JPEG", **options)
    data = kept.getvalue()
    # Decoders ignore what follows the end of the image.
    return data + os.urandom(max(0, size - len(data)))
