"""The file from which a training that was broken off continues."""

import hashlib
import io
from dataclasses import asdict
from pathlib import Path

import torch

from .archive import write_whole
from .train_config import TrainConfig

FORMAT = "adderforge-training-state-1"
MAY_DIFFER = ("data_dir",)  # where the data lie changes nothing


def save(config: TrainConfig, state: dict, path: str | Path) -> None:
    """Write the state after an epoch, and make its folder; under its name there is always a whole
    one. A SHA-256 digest follows PyTorch's archive, which does not check what it reads."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "config": asdict(config)} | state, buffer)
    content = buffer.getvalue()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content + hashlib.sha256(content).digest())


def load(config: TrainConfig, path: str | Path) -> dict:
    """The state, on the CPU.

    Raises ValueError when the file is damaged or something else, and when it was made with
    another configuration: then it names the first key that differs.
    """
    state = read(path)
    check_same(config, state["config"], path)
    return state


def read(path: str | Path) -> dict:
    """The state, of whatever configuration. ValueError when the file is damaged or another."""
    raw = Path(path).read_bytes()
    content, digest = raw[:-32], raw[-32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(
            f"{path}: must be a whole training state, and is damaged or another file; remove it "
            "to train from the start"
        )
    state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ValueError(
            f"{path}: must be a training state of this version; remove it to train from the start"
        )
    return state


def check_same(config: TrainConfig, made_with: dict, path: str | Path) -> None:
    """ValueError, naming the key, when `path` was made with another configuration."""
    for name, value in asdict(config).items():
        before = made_with.get(name, getattr(TrainConfig, name))  # the key may be a newer one
        if name not in MAY_DIFFER and before != value:
            raise ValueError(
                f"{path}: {name} must be {before!r} as when it was begun, not {value!r}; give the "
                "same options to resume, or choose another folder"
            )


def remove_leftovers(path: Path) -> None:
    """Remove what processes that were killed while they wrote `path` left beside it."""
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        left.unlink(missing_ok=True)
