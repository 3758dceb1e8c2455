"""Files of quantized networks: one .npz, the same bytes for the same network. NumPy only."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .archive import load_arrays, save_arrays
from .spec import ARRAYS, LayerSpec, QuantizedLayer, QuantizedModel

FORMAT = "adderforge-quantized-model"
FORMAT_VERSION = 2


def save(model: QuantizedModel, path: str | Path) -> None:
    """Write `model` as one .npz, byte-identical for equal models; the name appears when whole."""
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        **{name: value for name, value in vars(model).items() if name != "layers"},
        "layers": [asdict(layer.spec) for layer in model.layers],
    }
    members = {"header": np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)}
    for index, layer in enumerate(model.layers):
        for name in ARRAYS:
            value = getattr(layer, name)
            members[f"{index:03}.{name}"] = value.astype(_smallest_type(value))
    save_arrays(members, path)


def load(path: str | Path) -> QuantizedModel:
    """Read a model written by `save`; ValueError when it is truncated, of another version, or
    inconsistent, FileNotFoundError when there is none."""
    members = load_arrays(path)
    header = _header(members.pop("header", None), path)
    try:
        layers = []
        for index, entry in enumerate(header.pop("layers")):
            arrays = {name: members.pop(f"{index:03}.{name}") for name in ARRAYS}
            layers.append(QuantizedLayer(spec=LayerSpec(**entry), **arrays))
        if members:
            raise ValueError(f"unexpected arrays {sorted(members)}")
        del header["format"], header["version"]
        return QuantizedModel(layers=tuple(layers), **header)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: not a consistent quantized model ({error}); quantize the network again"
        ) from None


def _header(raw: np.ndarray | None, path: str | Path) -> dict:
    try:
        header = json.loads(bytes(raw))
    except (TypeError, ValueError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError(
            f"{path}: not a quantized model of AdderForge; make one with 'adderforge quantize'"
        )
    if header.get("version") != FORMAT_VERSION:
        raise ValueError(
            f"{path}: format version must be {FORMAT_VERSION}, not {header.get('version')}; "
            "quantize the network again with this version of AdderForge"
        )
    return header


def _smallest_type(value: np.ndarray) -> np.dtype:
    sizes = (8, 16, 32, 64)
    sign = "int" if value.min() < 0 else "uint"
    types = [np.dtype(f"{sign}{size}") for size in sizes]
    return next(t for t in types if np.array_equal(value.astype(t).astype(np.int64), value))
