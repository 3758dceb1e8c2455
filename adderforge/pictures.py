"""The images that commands put through a network."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from golden.spec import QuantizedModel


def images_from(
    network: "QuantizedModel",
    vectors: Path | None,
    data: str | None,
    data_dir: str | None,
    count: int,
) -> np.ndarray:
    """The first `count` images, or all where there are fewer: of the file `vectors`, else the test
    images of `data`, by default of the data set that the network was trained on.

    ValueError when there are none, or they are not of the network's shape.
    """
    if count < 1:
        raise ValueError(f"images must be at least 1, not {count}")
    if vectors:
        source, images = str(vectors), _stored(vectors)[:count]
    else:
        from golden.data import load

        source = data or network.data
        images = load(source, data_dir, network.classes).test_images[:count]
    if len(images) == 0 or images.shape[1:] != network.in_shape:
        raise ValueError(
            f"{source}: must hold images of {network.in_shape} for {network.name}, but has "
            f"{len(images)} of {images.shape[1:]}"
        )
    return images


def _stored(path: Path) -> np.ndarray:
    """The images of a file that `adderforge quantize --vectors` or a user wrote."""
    from golden.archive import load_arrays

    arrays = load_arrays(path)
    images = arrays.get("images")
    if images is None or images.ndim != 4 or not np.issubdtype(images.dtype, np.number):
        raise ValueError(
            f"{path}: must hold numbers 'images' (images, channels, height, width), and holds "
            f"{', '.join(f'{name} {array.shape}' for name, array in list(arrays.items())[:3])}; "
            "'adderforge quantize --vectors' writes such a file"
        )
    return images
