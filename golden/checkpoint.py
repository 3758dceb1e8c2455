"""Files of trained float networks."""

import hashlib
import io
import pickle
from dataclasses import asdict
from pathlib import Path

import torch

from .archive import write_whole
from .train_config import TrainConfig
from .training import TrainResult, build_network

FORMAT = "adderforge-float-checkpoint"
FORMAT_VERSION = 1
EXTRAS = ("test_top5", "start")  # of a TrainResult; kept where they are not None
DAMAGES = (  # what reading a damaged archive raises
    pickle.UnpicklingError,
    AssertionError,
    AttributeError,
    EOFError,
    IndexError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)


def save(result: TrainResult, path: str | Path) -> None:
    """Write the network's tensors, its config, its accuracies and what it started from; the name
    appears when whole."""
    content = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "config": asdict(result.config),
        "test_accuracy": result.test_accuracy,
        "state": result.network.state_dict(),
    }
    extras = {name: getattr(result, name) for name in EXTRAS}
    content |= {name: value for name, value in extras.items() if value is not None}
    content["digest"] = _digest(content)
    buffer = io.BytesIO()
    torch.save(content, buffer)
    write_whole(path, buffer.getvalue())


def load(path: str | Path) -> TrainResult:
    """What was saved, the network in evaluation mode; the history is not kept and empty.

    Raises FileNotFoundError without a file, ValueError when it is damaged or something else.
    """
    content = _read(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(
            f"{path}: not a float checkpoint of AdderForge; make one with 'adderforge train'"
        )
    if content.get("version") != FORMAT_VERSION:
        raise ValueError(
            f"{path}: format version must be {FORMAT_VERSION}, not {content.get('version')}; "
            "train the network again with this version of AdderForge"
        )
    try:
        if content["digest"] != _digest(content):
            raise ValueError("its digest differs")
        config = TrainConfig(**content["config"])
        network = build_network(config)
        network.load_state_dict(content["state"])
        return TrainResult(
            config=config,
            network=network.eval(),
            history=(),
            test_accuracy=float(content["test_accuracy"]),
            **{name: content.get(name) for name in EXTRAS},
        )
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: not a consistent checkpoint ({reason}); train the network again"
        ) from None


def _read(path: str | Path) -> object:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    try:
        return torch.load(io.BytesIO(content), weights_only=True)
    except DAMAGES:
        raise ValueError(
            f"{path}: truncated or not a checkpoint; train the network again or copy the file again"
        ) from None


def _digest(content: dict) -> str:
    """SHA-256 of all that is kept: torch does not check what it reads."""
    extras = tuple(content[name] for name in EXTRAS if name in content)
    described = (content["config"], content["test_accuracy"], *extras)
    digest = hashlib.sha256(repr(described).encode())
    for name, tensor in content["state"].items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
