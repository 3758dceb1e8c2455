"""The batches of an epoch: in random order, changed at random, and each process its share."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from .data import Dataset
from .imagenet import Pictures
from .images import mirrored, shifted, shifts
from .train_config import TrainConfig

Batch = tuple[Tensor, Tensor, int]


def count_batches(dataset: Dataset, config: TrainConfig) -> int:
    """Batches in an epoch: a last one smaller than the others is left out."""
    return max(1, len(dataset.train_images) // config.batch_size)


def batches(
    dataset: Dataset, config: TrainConfig, generator: torch.Generator, share: slice
) -> Iterator[Batch]:
    """The training images once: (images, labels) of `share` of each batch, and the whole batch's
    size. What is drawn from `generator` does not depend on `share`; so processes agree."""
    order = torch.randperm(len(dataset.train_images), generator=generator)
    parts = order.split(config.batch_size)[: count_batches(dataset, config)]
    readers = (_reader(dataset, config, generator, picked, share) for picked in parts)
    if isinstance(dataset.train_images, Pictures):
        yield from _one_ahead(readers)
    else:
        yield from (reader() for reader in readers)


def _reader(
    dataset: Dataset, config: TrainConfig, generator: torch.Generator, picked: Tensor, share: slice
) -> Callable[[], Batch]:
    """Draws now how the images are changed; reads and changes them when called."""
    images, labels = dataset.train_images, torch.from_numpy(dataset.train_labels)[picked[share]]
    if isinstance(images, Pictures):
        seeds = torch.randint(2**31, (len(picked),), generator=generator)
        read = partial(images.augmented, picked[share].numpy(), seeds[share].numpy())
        return lambda: (torch.from_numpy(read()), labels, len(picked))
    places = shifts(len(picked), config.shift, generator)
    flips = torch.rand(len(picked), generator=generator) < 0.5 if config.mirror else None

    def read() -> Batch:
        batch = torch.from_numpy(images[picked[share].numpy()])
        if places is not None:
            batch = shifted(batch, places[:, share], config.shift, dataset.background)
        if flips is not None:
            batch = mirrored(batch, flips[share])
        return batch, labels, len(picked)

    return read


def _one_ahead(readers: Iterator[Callable[[], Batch]]) -> Iterator[Batch]:
    """What the readers give; the next one reads while the caller works."""
    with ThreadPoolExecutor(1) as thread:
        coming = None
        for reader in readers:
            ready, coming = coming, thread.submit(reader)
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()
