"""CIFAR-10 and CIFAR-100 in their usual files: Python pickles, read without trusting them."""

import io
import math
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHAPE = (3, 32, 32)


@dataclass(frozen=True, kw_only=True)
class Files:
    """folder: its usual name. train, test: file names and the images that each holds. labels: the
    key of the labels. mean, std: of the training images' channels, 0 to 1."""

    folder: str
    train: dict[str, int]
    test: dict[str, int]
    labels: bytes
    classes: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


CIFAR = {
    "cifar10": Files(
        folder="cifar-10-batches-py",
        train={f"data_batch_{number}": 10_000 for number in range(1, 6)},
        test={"test_batch": 10_000},
        labels=b"labels",
        classes=10,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2470, 0.2435, 0.2616),
    ),
    "cifar100": Files(
        folder="cifar-100-python",
        train={"train": 50_000},
        test={"test": 10_000},
        labels=b"fine_labels",
        classes=100,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
    ),
}


def read(folder: Path, files: Files) -> dict[str, np.ndarray]:
    """train_images and test_images, uint8 (N, 3, 32, 32) in the order red, green, blue, and their
    labels. Raises FileNotFoundError or ValueError, naming the file that is missing or damaged."""
    arrays = {}
    for part, names in (("train", files.train), ("test", files.test)):
        pairs = [_read_batch(folder / name, count, files) for name, count in names.items()]
        images, labels = zip(*pairs, strict=True)
        arrays[f"{part}_images"] = np.concatenate(images)
        arrays[f"{part}_labels"] = np.concatenate(labels)
    return arrays


def _read_batch(path: Path, count: int, files: Files) -> tuple[np.ndarray, np.ndarray]:
    content = _unpickle(path)
    levels, labels = (content.get(key) for key in (b"data", files.labels))
    key = files.labels.decode()
    _require(
        isinstance(levels, _Array) and levels.is_sound and levels.shape == (count, 3072),
        path,
        f"must hold 'data' of {count} × 3072 bytes",
    )
    _require(
        isinstance(labels, list)
        and len(labels) == count
        and all(type(label) is int and 0 <= label < files.classes for label in labels),
        path,
        f"must hold {count} '{key}' from 0 to {files.classes - 1}",
    )
    return levels.array().reshape(-1, *SHAPE), np.array(labels)


def _require(condition: bool, path: Path, rule: str) -> None:
    if not condition:
        raise ValueError(f"{path}: {rule}, and is damaged or another; download the file again")


def _unpickle(path: Path) -> dict:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no {path.name} in {path.parent}; unpack the archive there again"
        ) from None
    try:
        content = _Unpickler(io.BytesIO(raw), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: cannot be read ({reason}); download the file again") from None
    _require(isinstance(content, dict), path, "must hold a dictionary")
    return content


class _Array:
    """What a pickle says of an array: nothing of NumPy runs before it has been checked."""

    shape, type, order, content = (), "", None, b""

    def __setstate__(self, state: tuple) -> None:
        _version, self.shape, kind, self.order, self.content = state
        self.type = kind.name if isinstance(kind, _Type) else ""

    @property
    def is_sound(self) -> bool:
        """Of bytes, as many as its shape says."""
        return (
            self.type in ("u1", b"u1")
            and isinstance(self.content, bytes)
            and all(type(size) is int for size in self.shape)
            and len(self.content) == math.prod(self.shape)
        )

    def array(self) -> np.ndarray:
        levels = np.frombuffer(self.content, np.uint8)
        return levels.reshape(self.shape, order="F" if self.order else "C")


class _Type:
    """A dtype by its name; its state, byte order and fields, means nothing for bytes."""

    def __init__(self, name: object, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: tuple) -> None:
        pass


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 pickles bytes for Python 2."""
    return text.encode("latin1" if encoding == "latin1" else "utf-8")


_STAND_INS: dict[str, Callable] = {
    "numpy.ndarray": object,  # only ever handed to _reconstruct
    "numpy.dtype": _Type,
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy._core.multiarray._reconstruct": lambda *_: _Array(),
    "_codecs.encode": _encode,
}


class _Unpickler(pickle.Unpickler):
    """Builds numbers, strings, lists, dictionaries and `_Array`; refuses every other name."""

    def find_class(self, module: str, name: str) -> Callable:
        wanted = f"{module}.{name}"
        if wanted not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {wanted}, which no such file does")
        return _STAND_INS[wanted]
