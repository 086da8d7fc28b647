"""A photo for the bench: 12 megapixels with about as much detail as a phone's, as JPEG."""

from __future__ import annotations

import sys
from pathlib import Path

WIDTH, HEIGHT = 4000, 3000


def write(path: Path) -> None:
    """Clouds of two sizes in three colours, and noise: some 4 MB."""
    import pyvips

    def clouds(size: int) -> pyvips.Image:
        bands = [pyvips.Image.perlin(WIDTH, HEIGHT, cell_size=size, seed=at) for at in range(3)]
        return bands[0].bandjoin(bands[1:])

    noise = pyvips.Image.gaussnoise(WIDTH, HEIGHT, mean=0, sigma=4, seed=4)
    image = clouds(600) * 70 + clouds(40) * 30 + noise + 128
    image.cast("uchar").copy(interpretation="srgb").jpegsave(str(path), Q=88)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
