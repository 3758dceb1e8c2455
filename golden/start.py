"""Reads the weights that a training starts from, in place of random ones."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from . import checkpoint, state
from .authors import LoadReport, load_authors
from .train_config import TrainConfig
from .training import Start, build_network

NAMES = 3  # that a message shows of each sort of difference


def read_start(path: str | Path, config: TrainConfig) -> Start:
    """The weights in a checkpoint of this project, in the state of an unfinished training, or in a
    checkpoint of the AdderNet authors' public code (a state_dict, alone or under the key
    "state_dict"; see `golden.authors`).

    Every name and shape must be those of the config's network; its kind may be another, as when an
    adder network starts from a trained ℓ2 network.

    Raises FileNotFoundError without a file; ValueError when it is damaged or something else, and
    when names or shapes differ: the message lists them.
    """
    network, tensors = build_network(config), _tensors(path)
    try:
        report = load_authors(tensors, network)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not report.complete:
        raise ValueError(
            f"{path}: must fit {config.model} with {config.outputs} outputs, but {_lists(report)}; "
            "choose the model that it was made with, or another checkpoint"
        )
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return Start(file=Path(path).name, sha256=digest, tensors=network.state_dict())


def check_start(path: str | Path | None, record: dict[str, str] | None, begun: str | Path) -> None:
    """ValueError when the training in the file `begun` did not start from the checkpoint `path`;
    None is any. Only names are compared: the checkpoint need not be there any more."""
    file = None if record is None else record["file"]
    if path is not None and Path(path).name != file:
        before = "random weights" if file is None else repr(file)
        raise ValueError(
            f"{begun}: must start from {before} as when it was begun, not from "
            f"{Path(path).name!r}; leave out --from-checkpoint to resume, or choose another folder"
        )


def _tensors(path: str | Path) -> Mapping[str, Tensor]:
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    try:
        content = torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")
    except checkpoint.DAMAGES:
        raise ValueError(
            f"{path}: must hold a network's tensors, and is damaged or something else; of a whole "
            "network saved by torch.save, save its state_dict()"
        ) from None
    if isinstance(content, Mapping) and content.get("format") == checkpoint.FORMAT:
        return checkpoint.load(path).network.state_dict()
    if isinstance(content, Mapping) and content.get("format") == state.FORMAT:
        return state.read(path)["network"]
    return content.get("state_dict", content) if isinstance(content, Mapping) else content


def _lists(report: LoadReport) -> str:
    shapes = [f"{name} {text}" for name, text in report.mismatched.items()]
    differences = {
        "it has no": report.missing,
        "it has unknown": report.unexpected,
        "other shapes are": shapes,
    }
    return "; ".join(f"{what} {_some(names)}" for what, names in differences.items() if names)


def _some(names: list[str] | tuple[str, ...]) -> str:
    more = len(names) - NAMES
    return ", ".join(names[:NAMES]) + (f" and {more} more" if more > 0 else "")
