"""Images of a data set in memory, as the network sees them, and moved or mirrored for training."""

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad


class Images(Protocol):
    """float32 (N, channels, height, width); a NumPy array is one, so is what reads on demand."""

    shape: tuple[int, ...]

    def __len__(self) -> int: ...
    def __getitem__(self, picked: slice | np.ndarray) -> np.ndarray: ...


class Pixels:
    """Gray levels 0 … 255, uint8 (N, channels, height, width), read as (level / 255 - mean) / std
    with a mean and a standard deviation for each channel."""

    def __init__(self, levels: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        self.levels, self.shape = levels, levels.shape
        rows = [np.float32(values)[:, None, None] for values in (mean, std)]
        self._scale = np.float32(1 / 255) / rows[1]
        self._offset = -rows[0] / rows[1]

    def __len__(self) -> int:
        return len(self.levels)

    def __getitem__(self, picked: slice | np.ndarray) -> np.ndarray:
        return self.levels[picked] * self._scale + self._offset


def shifts(count: int, most: int, generator: torch.Generator) -> Tensor | None:
    """(2, count): rows and columns, each from 0 to 2 · most, for `shifted`; None for most = 0."""
    return torch.randint(2 * most + 1, (2, count), generator=generator) if most else None


def shifted(images: Tensor, places: Tensor, most: int, background: float) -> Tensor:
    """Each image moved by -most … most rows and columns, `background` moving in: the crop that
    starts at places[:, n] of image n with `most` pixels of background around it."""
    height, width = images.shape[2:]
    padded = pad(images, (most,) * 4, value=background)
    rows = places[0][:, None, None, None] + torch.arange(height)[:, None]
    cols = places[1][:, None, None, None] + torch.arange(width)
    channels = torch.arange(images.shape[1])[:, None, None]
    return padded[torch.arange(len(images))[:, None, None, None], channels, rows, cols]


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """The images where `which` is true with left and right exchanged."""
    return torch.where(which[:, None, None, None], images.flip(3), images)
