"""Data sets of handwritten digits, as float images of 32 × 32 pixels.

Preprocessing is the paper's (section 4.1): resized to 32 × 32, bilinear with half-pixel centers,
then the gray levels of LeCun et al. 1998, background -0.1 and foreground 1.175, so that mean and
variance are roughly 0 and 1. That range is 255 steps of 0.005: an 8-bit code is the pixel's own
gray level with zero point 20.
"""

import gzip
import math
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

SIDE = 32
BACKGROUND, FOREGROUND = -0.1, 1.175
NAMES = ("digits", "mnist")
_MNIST_FILES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """images: float32 (N, 1, 32, 32) from -0.1 to 1.175; labels: int64 (N,) from 0 to 9."""

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load(name: str, directory: str | Path | None = None) -> Dataset:
    """Load a data set; the same arrays at every call.

    "digits": scikit-learn's 1,797 images of 8 × 8, built in; 1,437 for training and 360 for test,
    a fixed split with equal shares of the classes. "mnist": 60,000 and 10,000 images of 28 × 28,
    from IDX files, plain or .gz, in `directory`, `directory`/mnist, or the folder that the
    environment variable ADDERFORGE_DATA names, likewise.

    Raises ValueError on an unknown name and on a damaged file, FileNotFoundError without files.
    """
    if name not in NAMES:
        raise ValueError(f"data set must be one of {NAMES}, not {name!r}")
    arrays = _digits() if name == "digits" else _mnist(_mnist_directory(directory))
    for key in ("train_images", "test_images"):
        arrays[key] = preprocess(arrays[key])
    for key in ("train_labels", "test_labels"):
        arrays[key] = arrays[key].astype(np.int64)
    return Dataset(name=name, **arrays)


def preprocess(images: np.ndarray) -> np.ndarray:
    """(N, height, width) from 0 (background) to 1, to float32 (N, 1, 32, 32), -0.1 … 1.175."""
    resized = torch.nn.functional.interpolate(
        torch.from_numpy(images.astype(np.float32))[:, None], size=(SIDE, SIDE), mode="bilinear"
    )
    return resized.mul_(FOREGROUND - BACKGROUND).add_(BACKGROUND).numpy()


def _digits() -> dict[str, np.ndarray]:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    keys = ("train_images", "test_images", "train_labels", "test_labels")
    parts = train_test_split(
        digits.images / 16, digits.target, test_size=360, random_state=0, stratify=digits.target
    )
    return dict(zip(keys, parts, strict=True))


def _mnist_directory(directory: str | Path | None) -> Path:
    """The folder with MNIST's files: `directory` or ADDERFORGE_DATA, itself or its mnist/."""
    given = directory if directory is not None else os.environ.get("ADDERFORGE_DATA")
    if not given:
        raise FileNotFoundError(
            "data set 'mnist' needs a folder with its IDX files: pass --data-dir, or set "
            "ADDERFORGE_DATA"
        )
    for folder in (Path(given), Path(given) / "mnist"):
        if any(path.is_file() for path in _candidates(folder, "train_images")):
            return folder
    raise FileNotFoundError(
        f"no {_MNIST_FILES['train_images']}[.gz] in {given} or its mnist folder; download MNIST's "
        "four IDX files there, or name another folder by --data-dir or ADDERFORGE_DATA"
    )


def _candidates(folder: Path, key: str) -> list[Path]:
    return [folder / f"{_MNIST_FILES[key]}{suffix}" for suffix in ("", ".gz")]


def _mnist(folder: Path) -> dict[str, np.ndarray]:
    arrays = {}
    for key in _MNIST_FILES:
        path = next((path for path in _candidates(folder, key) if path.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"no {_MNIST_FILES[key]}[.gz] in {folder}; download MNIST's four IDX files there"
            )
        arrays[key] = _read_idx(path, dimensions=3 if "images" in key else 1)
    for part in ("train", "test"):
        images, labels = len(arrays[f"{part}_images"]), len(arrays[f"{part}_labels"])
        if images != labels:
            raise ValueError(
                f"{folder}: {part} images and labels must be equally many, not {images} and "
                f"{labels}; download MNIST's four IDX files again"
            )
        arrays[f"{part}_images"] = arrays[f"{part}_images"] / np.float32(255)
    return arrays


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
