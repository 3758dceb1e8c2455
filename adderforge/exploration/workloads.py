"""What an accelerator is to run: the layers of a network, and where its weights and images are."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

from golden.spec import QuantizedModel
from hw.config import ArrayConfig
from hw.schedule import cycles

from .design import Design
from .effort import Effort

TABLE = "networks.json"  # made by `networks`
KIND_OF_PE = {"mac": "cnn", "xnor": "bnn", "square": "l2"}  # of networks; of other PEs "adder"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """shape: (m, k, n) of the matrix form of one image, outputs × reduction × filters."""

    name: str
    shape: tuple[int, int, int]

    @property
    def operations(self) -> int:
        m, k, n = self.shape
        return m * k * n


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The layers that run on the array, of one image, and what levels 3 and 4 need besides.

    models: by kind of network, "adder", "cnn" or "bnn", a float checkpoint (.pt), which is
    quantized to the width of each design, or a quantized model (.npz), for designs as wide or
    wider. data, data_dir: the images' data set, by default that of the models. accelerator: the
    whole network runs on an accelerator, with its memories and requantizer, not layer by layer on
    an array; its quantized model is needed for that, or a checkpoint.
    """

    name: str
    layers: tuple[Layer, ...]
    models: dict[str, Path] = field(default_factory=dict)
    data: str | None = None
    data_dir: str | None = None
    accelerator: bool = False

    def __post_init__(self) -> None:
        paths = {kind: Path(path) for kind, path in self.models.items()}
        object.__setattr__(self, "models", paths)
        if not self.layers:
            raise ValueError(f"workload {self.name!r} must have at least one layer, not none")

    @cached_property
    def data_set(self) -> str:
        """The images', by name. ValueError when none is named for models of several, errors of
        `models.data_of` when one cannot be read."""
        from .models import data_of

        if self.data:
            return self.data
        known = {kind: data_of(path) for kind, path in self.models.items()}
        if len(set(known.values())) > 1:
            names = ", ".join(f"{kind} on {name}" for kind, name in known.items())
            raise ValueError(
                f"models of {self.name} must be trained on the same data, but are {names}; name "
                "the images' as data"
            )
        return next(iter(known.values()), "digits")

    @cached_property
    def depth(self) -> int:
        """Terms of the longest reduction."""
        return max(layer.shape[1] for layer in self.layers)

    @cached_property
    def positions(self) -> int:
        """Outputs of the layer that has most."""
        return max(layer.shape[0] for layer in self.layers)

    @property
    def defaults(self) -> dict[str, object]:
        """Parameters of designs that leave them open."""
        around = {"dataflow": "weight-stationary", "positions": self.positions}
        return {"depth": self.depth} | (around if self.accelerator else {})

    @cached_property
    def operations(self) -> int:
        return sum(layer.operations for layer in self.layers)

    @cached_property
    def _counts(self) -> dict[tuple[int, int, int], int]:
        counts: dict[tuple[int, int, int], int] = {}
        for layer in self.layers:
            counts[layer.shape] = counts.get(layer.shape, 0) + 1
        return counts

    def figures(self, design: Design, effort: Effort) -> dict[str, float]:
        """What is exactly known of a design: cycles of an image, its operations, and the useful
        share of PE-cycles; of an accelerator, memories as well. ValueError when an accelerator
        cannot run the network."""
        if self.accelerator:
            from .accelerators import figures

            return figures(self.model(design), design, effort)
        array = design.array
        count = self.cycles(array)
        useful = self.operations / (array.rows * array.cols * array.lanes * count)
        return {"cycles": count, "operations": self.operations, "utilization": useful}

    def cycles(self, config: ArrayConfig) -> int:
        """Of one image, layer by layer, as `hw.schedule.cycles` has them."""
        return sum(count * cycles(shape, config) for shape, count in self._counts.items())

    def layer_table(self, design: Design) -> list[dict[str, object]]:
        """Each layer's cycles and utilization: useful PE-cycles ÷ (PEs × cycles)."""
        config = design.array
        products = config.rows * config.cols * config.lanes
        rows = []
        for layer, count in zip(self.layers, self._layer_cycles(design), strict=True):
            useful = layer.operations / (products * count)
            rows.append({"layer": layer.name, "cycles": count, "utilization": useful})
        return rows

    def _layer_cycles(self, design: Design) -> list[int]:
        if not self.accelerator:
            return [cycles(layer.shape, design.array) for layer in self.layers]
        from .accelerators import compiled

        counts = dict.fromkeys((layer.name for layer in self.layers), 0)
        for part in compiled(self.model(design), design).layers:  # bands of rows have its name
            counts[part.name] += part.cycles
        return list(counts.values())

    @property
    def quantized(self) -> QuantizedModel:
        """The model of a workload that was made of one."""
        from .models import loaded

        (path,) = self.models.values()
        return loaded(path)

    def model(self, design: Design) -> QuantizedModel:
        """The network as the design runs it. Errors as of `model_for` and `models.model_of`."""
        from .models import model_of

        return model_of(self.model_for(design.array), design, self.data_set, self.data_dir)

    def model_for(self, config: ArrayConfig) -> Path:
        """ValueError when there is no network of the PE's kind, FileNotFoundError when its file is
        missing."""
        kind = kind_of(config.pe)
        if self.accelerator and kind == "cnn" and kind not in self.models and "bnn" in self.models:
            kind = "bnn"  # whose ordinary ends need MACs
        if kind not in self.models:
            raise ValueError(
                f"{self.name} has no {kind} network for pe {config.pe!r}; give its checkpoint "
                "or its quantized model"
            )
        if not self.models[kind].exists():
            raise FileNotFoundError(f"{self.models[kind]}: no such file")
        return self.models[kind]

    def requantized(self, design: Design) -> Design:
        """With the requantizer that the network has for it. Errors as of `model_for`."""
        from .models import loaded

        path = self.model_for(design.array)
        return design.requantized(loaded(path).requantize) if path.suffix == ".npz" else design

    def digest(self, config: ArrayConfig) -> str:
        """Of what the design's network is made of: the model's file and the data set's name."""
        path = self.model_for(config)
        return _digest(path, path.stat().st_mtime_ns, path.stat().st_size) + f" {self.data_set}"


def kind_of(pe: str) -> str:
    """The kind of network that PEs of a kind run."""
    return KIND_OF_PE.get(pe, "adder")


def network(name: str, **others: object) -> Workload:
    """The layers of a network of the paper that are made of adders in its adder network; MAC PEs
    run the same layers of its CNN. others: as in Workload. ValueError for unknown names."""
    table = json.loads((files("adderforge.exploration") / TABLE).read_text(encoding="utf-8"))
    if name not in table:
        raise ValueError(f"network must be one of {', '.join(table)}, not {name!r}")
    layers = tuple(Layer(name=layer, shape=tuple(shape)) for layer, shape in table[name].items())
    return Workload(name=name, layers=layers, **others)


def of_model(path: str | Path, data: str | None = None, **others: object) -> Workload:
    """All layers of a quantized model (.npz), which is the network of its kind. data, others: as
    in Workload. Errors as `golden.model_file.load`."""
    from .models import loaded

    path = Path(path)
    model = loaded(path)
    kinds = {"adder": "adder", "xnor": "bnn", "mac": "cnn"}  # others may have ordinary ends
    present = {layer.spec.kind for layer in model.layers}
    kind = next(name for spec, name in kinds.items() if spec in present)
    others["models"] = {kind: path} | others.pop("models", {})
    return Workload(name=model.name, layers=model_layers(model), data=data, **others)


def model_layers(model: QuantizedModel) -> tuple[Layer, ...]:
    return tuple(
        Layer(name=layer.spec.name, shape=layer.spec.matrix_shape()) for layer in model.layers
    )


@cache
def _digest(path: Path, modified: int, size: int) -> str:
    """Of a file's content, read once for each time that it was written."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:24]
