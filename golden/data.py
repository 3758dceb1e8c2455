"""Data sets, found in their usual files and preprocessed as in the paper.

Digits and MNIST (section 4.1): resized to 32 × 32, bilinear with half-pixel centers, then the gray
levels of LeCun et al. 1998, background -0.1 and foreground 1.175, so that mean and variance are
roughly 0 and 1. That range is 255 steps of 0.005: an 8-bit code is the pixel's own gray level with
zero point 20.

CIFAR (section 4.2) and ImageNet (section 4.3): each channel minus its mean, divided by its
standard deviation; He et al. 2016, whom the paper follows, subtract a mean for each pixel.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from . import cifar, imagenet, mnist
from .images import Images, Pixels

SIDE = 32
BACKGROUND, FOREGROUND = -0.1, 1.175
CLASSES = {"digits": 10, "mnist": 10, "cifar10": 10, "cifar100": 100, "imagenet": 1000}
SHAPES = dict.fromkeys(("digits", "mnist"), (1, SIDE, SIDE)) | {
    "cifar10": cifar.SHAPE,
    "cifar100": cifar.SHAPE,
    "imagenet": (3, imagenet.SIDE, imagenet.SIDE),
}
NAMES = tuple(CLASSES)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """images: float32 (N, *SHAPES[name]), read when sliced where memory would be short; labels:
    int64 (N,) from 0. background: what surrounds an image."""

    name: str
    train_images: Images
    train_labels: np.ndarray
    test_images: Images
    test_labels: np.ndarray
    background: float = BACKGROUND


@dataclass(frozen=True)
class _Place:
    """usual: the folder's name. first: what tells the folder, a file or a folder in it."""

    usual: str
    first: tuple[str, ...]
    remedy: str
    known_by: Callable[[Path], bool] = Path.is_file


_PLACES = {
    name: _Place(files.folder, tuple(files.train)[:1], f"unpack {files.folder}")
    for name, files in cifar.CIFAR.items()
} | {
    "mnist": _Place("mnist", mnist.FIRST, "download MNIST's four IDX files"),
    "imagenet": _Place("imagenet", ("train",), "unpack train and val", Path.is_dir),
}


def load(name: str, directory: str | Path | None = None, classes: int | None = None) -> Dataset:
    """Load a data set; the same images at every call.

    "digits": scikit-learn's 1,797 images of 8 × 8, built in; 1,437 for training and 360 for test,
    a fixed split with equal shares of the classes. The others are files:

        "mnist"     IDX files, plain or .gz; 60,000 and 10,000 images of 28 × 28
        "cifar10"   cifar-10-batches-py, the Python version; 50,000 and 10,000 images
        "cifar100"  cifar-100-python, likewise; the fine labels
        "imagenet"  train/ and val/, each with a folder of JPEG files for each class

    in `directory`, in the folder of that name in it (mnist, cifar-10-batches-py, cifar-100-python,
    imagenet), or in the folder that the environment variable ADDERFORGE_DATA names, likewise.

    classes: folders of a part of "imagenet"; None for all 1000. Others have theirs.

    Raises ValueError on an unknown name and on a damaged file, FileNotFoundError without files.
    """
    if name not in NAMES:
        raise ValueError(f"data set must be one of {NAMES}, not {name!r}")
    if name in cifar.CIFAR:
        arrays = _cifar(_folder(name, directory), cifar.CIFAR[name])
    elif name == "imagenet":
        arrays = imagenet.read(_folder(name, directory), classes or CLASSES[name])
        arrays["background"] = 0.0
    else:
        arrays = _digits() if name == "digits" else mnist.read(_folder(name, directory))
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


def _cifar(folder: Path, files: cifar.Files) -> dict:
    arrays = cifar.read(folder, files)
    for key in ("train_images", "test_images"):
        arrays[key] = Pixels(arrays[key], files.mean, files.std)
    return arrays | {"background": 0.0}


def _folder(name: str, directory: str | Path | None) -> Path:
    """The data set's folder: `directory` or ADDERFORGE_DATA, itself or the usual folder in it."""
    given = directory if directory is not None else os.environ.get("ADDERFORGE_DATA")
    if not given:
        raise FileNotFoundError(
            f"data set {name!r} needs a folder with its files: pass --data-dir, or set "
            "ADDERFORGE_DATA"
        )
    place = _PLACES[name]
    for folder in (Path(given), Path(given) / place.usual):
        if any(place.known_by(folder / entry) for entry in place.first):
            return folder
    raise FileNotFoundError(
        f"no {' or '.join(place.first)} in {given} or its {place.usual} folder; {place.remedy} "
        "there, or name another folder by --data-dir or ADDERFORGE_DATA"
    )
