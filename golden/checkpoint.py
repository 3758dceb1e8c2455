"""Files of trained float networks."""

import io
import os
import pickle
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path

import torch

from .networks import Chain
from .train import TrainConfig, TrainResult, build_network

FORMAT = "adderforge-float-checkpoint"
FORMAT_VERSION = 1
DAMAGES = (  # what reading a damaged archive raises
    zipfile.BadZipFile,
    zlib.error,
    pickle.UnpicklingError,
    AttributeError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


def save(result: TrainResult, path: str | Path) -> None:
    """Write the network's tensors, its config and its accuracy; the name appears when whole."""
    content = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "config": asdict(result.config),
        "test_accuracy": result.test_accuracy,
        "state": result.network.state_dict(),
    }
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(content, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | Path) -> tuple[Chain, TrainConfig, float]:
    """The network, in evaluation mode, its config, and its test accuracy from 0 to 1.

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
        config = TrainConfig(**content["config"])
        network = build_network(config)
        network.load_state_dict(content["state"])
        return network.eval(), config, float(content["test_accuracy"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
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
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            damaged = archive.testzip()  # torch does not compare checksums
        if damaged is None:
            return torch.load(io.BytesIO(content), weights_only=True)
    except DAMAGES:
        pass
    raise ValueError(
        f"{path}: truncated or not a checkpoint; train the network again or copy the file again"
    )
