"""A workload's network as integers: read from a file, or quantized as a design has it."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from golden.spec import QuantizedModel

from .around import AS_NEEDED
from .design import Design

if TYPE_CHECKING:
    from golden.data import Dataset
    from golden.train_config import TrainConfig

CALIBRATION_IMAGES = 512
KEPT = 32  # networks


def model_of(path: Path, design: Design, data: str, data_dir: str | None) -> QuantizedModel:
    """The network of a quantized model (.npz), or of a float checkpoint (.pt) quantized to the
    design's width by its recipe, with calibration images of the data set. ValueError when a
    quantized model is wider than the design, or the design has a recipe for it."""
    modified, width = path.stat().st_mtime_ns, design.array.width
    if path.suffix != ".npz":
        recipe = (("width", width), *design.around.recipe.items())
        return _quantized(path, modified, recipe, data, data_dir)
    model = loaded(path)
    widest = max(layer.spec.width for layer in model.layers)
    if widest > width:
        raise ValueError(
            f"{path}: has {widest} bits, more than the design's {width}; give the "
            "network's checkpoint (.pt), which is quantized to any width"
        )
    for name in ("groups", "mult_width"):
        if getattr(design.around, name) != getattr(AS_NEEDED, name):
            raise ValueError(
                f"{path}: {name} must be left out for a quantized model; give the network's "
                "checkpoint (.pt)"
            )
    return model


def loaded(path: Path) -> QuantizedModel:
    """A quantized model, read once for each time that it was written. Errors as of
    `golden.model_file.load`."""
    return _loaded(path, path.stat().st_mtime_ns if path.exists() else 0)


def data_of(path: Path) -> str:
    """The data set that a quantized model (.npz) or a checkpoint (.pt) was trained on. Errors as
    of `golden.model_file.load` and `golden.checkpoint.load`."""
    return loaded(path).data if path.suffix == ".npz" else config_of(path).data


def config_of(path: Path) -> "TrainConfig":
    """Of a checkpoint (.pt). Errors as of `golden.checkpoint.load`."""
    return _config(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(KEPT)
def _config(path: Path, modified: int) -> "TrainConfig":
    from golden import checkpoint

    return checkpoint.load(path).config


def dataset(name: str, directory: str | None, classes: int | None) -> "Dataset":
    """As `golden.data.load`, but OSError when its files are damaged: no design is to blame."""
    from golden import data

    try:
        return data.load(name, directory, classes)
    except ValueError as error:
        if name not in data.NAMES:
            raise
        raise OSError(str(error)) from None


@lru_cache(KEPT)
def _loaded(path: Path, modified: int) -> QuantizedModel:
    from golden import model_file

    return model_file.load(path)


@lru_cache(KEPT)
def _quantized(
    path: Path, modified: int, recipe: tuple, data: str, data_dir: str | None
) -> QuantizedModel:
    from golden import checkpoint
    from golden.quantize import quantize
    from golden.recipe import Recipe

    trained, chosen = checkpoint.load(path), Recipe(**dict(recipe))
    images = dataset(data, data_dir, trained.config.classes).train_images[:CALIBRATION_IMAGES]
    name = f"{trained.config.model}-{chosen.width}"
    return quantize(trained.network, images, name=name, recipe=chosen)
