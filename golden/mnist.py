"""MNIST's four IDX files, plain or .gz."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}
SIZE = (28, 28)
FIRST = tuple(f"{FILES['train_images']}{suffix}" for suffix in ("", ".gz"))  # tells the folder


def read(folder: Path) -> dict[str, np.ndarray]:
    """Images from 0 to 1, float32 (N, 28, 28), and labels, by the names of FILES.

    Raises FileNotFoundError or ValueError, naming the file that is missing or damaged.
    """
    arrays = {}
    for key, name in FILES.items():
        path = next((path for path in _candidates(folder, name) if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"no {name}[.gz] in {folder}; download MNIST's four IDX files there"
            )
        arrays[key] = _read_idx(path, dimensions=3 if "images" in key else 1)
    for part in ("train", "test"):
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
        if len(images) == 0 or images.shape[1:] != SIZE:
            raise ValueError(
                f"{folder}: {part} images must be some of {SIZE}, not {images.shape}; download "
                "MNIST's four IDX files again"
            )
        if len(images) != len(labels):
            raise ValueError(
                f"{folder}: {part} images and labels must be equally many, not {len(images)} and "
                f"{len(labels)}; download MNIST's four IDX files again"
            )
        if labels.max(initial=0) > 9:
            raise ValueError(
                f"{folder}: {part} labels must be 0 to 9, not {labels.max()}; download MNIST's "
                "four IDX files again"
            )
        arrays[f"{part}_images"] = images / np.float32(255)
    return arrays


def _candidates(folder: Path, name: str) -> list[Path]:
    return [folder / f"{name}{suffix}" for suffix in ("", ".gz")]


def _read_idx(path: Path, dimensions: int) -> np.ndarray:
    """uint8 array of an IDX file: 0, 0, 8 (type), dimensions; sizes, big-endian; the bytes."""
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({error}); download the file again") from None
    start = 4 + 4 * dimensions
    shape = tuple(int.from_bytes(raw[at : at + 4], "big") for at in range(4, start, 4))
    if raw[:4] != bytes([0, 0, 8, dimensions]) or len(raw) - start != math.prod(shape):
        raise ValueError(
            f"{path}: must be an IDX file of bytes in {dimensions} dimensions, and is damaged or "
            "another; download the file again"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)
