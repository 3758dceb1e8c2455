"""ImageNet: folders train/ and val/ of class folders, JPEG files that are read when needed.

Scaling, crops and colors are those of He et al. 2016 (sections 3.4): for training, the shorter
side is resized to 256 … 480 pixels at random, a crop of 224 × 224 is taken at random and mirrored
at random, and its colors are changed along their principal components (Krizhevsky et al. 2012);
for testing, the shorter side is 256 pixels and the crop is the middle.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

SIDE, TEST_SIDE, TRAIN_SIDES = 224, 256, (256, 480)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SUFFIXES = (".jpeg", ".jpg", ".png")
COLOR_STD = 0.1
COLOR_VALUES = np.array([0.2175, 0.0188, 0.0045])  # of the training images' colors, 0 to 1
COLOR_VECTORS = np.array(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)


class Pictures:
    """Image files as float32 (N, 3, 224, 224), normalized; read by threads, none kept.

    pictures[slice or indices] are the crops for testing, `augmented` those for training.
    """

    def __init__(self, paths: list[Path]) -> None:
        self.paths = np.array(paths, dtype=object)
        self.shape = (len(paths), 3, SIDE, SIDE)
        self._threads = ThreadPoolExecutor(os.cpu_count())

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, picked: slice | np.ndarray) -> np.ndarray:
        return self._stack(self._threads.map(middle_crop, self.paths[picked]))

    def augmented(self, picked: np.ndarray, seeds: np.ndarray) -> np.ndarray:
        """The images `picked`, each changed at random by its own seed."""
        return self._stack(self._threads.map(random_crop, self.paths[picked], seeds))

    @staticmethod
    def _stack(images) -> np.ndarray:
        found = list(images)
        return np.stack(found) if found else np.empty((0, 3, SIDE, SIDE), np.float32)


def read(folder: Path, classes: int) -> dict:
    """train_images, test_images: Pictures; train_labels, test_labels: the number of the class
    folder, in the order of the folders' names.

    Raises FileNotFoundError on a missing or empty folder, ValueError unless train/ and val/ hold
    the same `classes` folders.
    """
    arrays, names = {}, {}
    for part, place in (("train", folder / "train"), ("test", folder / "val")):
        folders = sorted(path for path in place.glob("*") if path.is_dir())
        names[part] = [path.name for path in folders]
        if len(folders) != classes:
            raise ValueError(
                f"{place}: must hold {classes} class folders, not {len(folders)}; unpack all of "
                "them there, or give the number of classes (--classes)"
            )
        files = [_pictures(path) for path in folders]
        arrays[f"{part}_images"] = Pictures([path for paths in files for path in paths])
        arrays[f"{part}_labels"] = np.repeat(np.arange(classes), [len(paths) for paths in files])
    different = set(names["train"]) ^ set(names["test"])
    if different:
        raise ValueError(
            f"{folder}: train and val must hold folders of the same names, but {min(different)!r} "
            "is in one of them only; sort val's images into class folders"
        )
    return arrays


def middle_crop(path: Path) -> np.ndarray:
    image = _resized(path, TEST_SIDE)
    rows, cols = image.shape[0] - SIDE, image.shape[1] - SIDE
    return _normalized(image[rows // 2 :, cols // 2 :][:SIDE, :SIDE])


def random_crop(path: Path, seed: int) -> np.ndarray:
    rng = np.random.default_rng(int(seed))
    image = _resized(path, int(rng.integers(TRAIN_SIDES[0], TRAIN_SIDES[1] + 1)))
    row, col = (int(rng.integers(size - SIDE + 1)) for size in image.shape[:2])
    crop = image[row : row + SIDE, col : col + SIDE]
    if rng.integers(2):
        crop = crop[:, ::-1]
    return _normalized(crop, COLOR_VECTORS @ (rng.normal(0, COLOR_STD, 3) * COLOR_VALUES))


def _pictures(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"{folder}: no {', '.join(SUFFIXES)} files; unpack them there")
    return paths


def _resized(path: Path, side: int) -> np.ndarray:
    """uint8 (height, width, 3), the shorter of height and width being `side`."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.draft("RGB", (side, side))  # JPEG: decode at a fraction that is large enough
            shortest = min(image.size)
            size = tuple(max(side, round(length * side / shortest)) for length in image.size)
            return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"{path}: must be a whole image file ({error}); copy the file again or remove it"
        ) from None


def _normalized(image: np.ndarray, color: np.ndarray | float = 0.0) -> np.ndarray:
    scaled = (image / 255 + color - np.array(MEAN)) / np.array(STD)
    return scaled.transpose(2, 0, 1).astype(np.float32)
