"""A float network as a list of layers, each with what follows it folded in: batch norm, the map
that is added, the activation, pooling. What quantization, fine-tuning and export work on.

The network is traced by `torch.fx`, so any `nn.Module` without data-dependent control flow will
do, as long as it is made of the layers and functions below.
"""

import inspect
import math
import operator
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from .kinds import kind_of
from .layers import AdderConvTranspose2d
from .spec import IMAGE, Pool

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
IGNORED = (nn.Identity, nn.Dropout, nn.Dropout2d)
ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
ODD = {  # options of pooling that have no integer form, and what they are without
    "ceil_mode": False,
    "dilation": 1,
    "return_indices": False,
    "divisor_override": None,
}
UNLIMITED = (-float("inf"), float("inf"))


@dataclass(kw_only=True)
class FloatLayer:
    """pool(clamp(norm(layer(source)) + residual, *limits)).

    name: where the layer is in the network. kind: "adder", "cnn" or "bnn". source, residual: names
    of maps, of other layers or "image". limits: of the activation: (0, inf) is ReLU, (-1, 1)
    Hardtanh. pool: None for none.
    """

    name: str
    kind: str
    layer: nn.Module
    source: str
    norm: nn.Module | None = None
    residual: str | None = None
    limits: tuple[float, float] = UNLIMITED
    pool: Pool | None = None

    @property
    def is_linear(self) -> bool:
        return self.layer.weight.dim() == 2

    @property
    def takes(self) -> list[str]:
        """The maps that the layer takes."""
        return [self.source, *([self.residual] if self.residual else [])]

    def respond(self, source: Tensor) -> Tensor:
        """The layer's output with its own bias, before the batch norm."""
        return self.layer(source.flatten(1) if self.is_linear else source)

    def total(self, response: Tensor, residual: Tensor | None) -> Tensor:
        """norm(response) + residual."""
        total = response if self.norm is None else self.norm(response)
        return total if residual is None else total + residual


def pooled(values: Tensor, pool: Pool | None) -> Tensor:
    """Real values pooled; incomplete windows at the edge are dropped."""
    if pool is None:
        return values
    if pool.kind == "max":
        return functional.max_pool2d(values, pool.kernel, pool.stride, pool.padding)
    return functional.avg_pool2d(values, pool.kernel, pool.stride)


def trace(network: nn.Module, in_shape: tuple[int, int, int]) -> list[FloatLayer]:
    """The network's layers in the order in which they run.

    Raises ValueError, naming the place and what to do, on anything that has no place in the list.
    """
    options = {
        name: parameter.default
        for name, parameter in inspect.signature(network.forward).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    try:
        graph = _Tracer().trace(network, options)
    except (fx.proxy.TraceError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the network must not decide by its data ({error}); write it without such branches"
        ) from None
    except NameError as error:
        if "submodule" not in str(error):
            raise
        raise ValueError(
            f"the network must hold its modules ({error}); make them in __init__, not in forward"
        ) from None
    return _Builder(network, graph, in_shape).layers


class Maps(dict):
    """Maps by name; `forget` drops those that no later layer takes."""

    def __init__(self, layers: list[FloatLayer], image: object) -> None:
        super().__init__({IMAGE: image})
        self._uses = Counter(name for layer in layers for name in layer.takes)

    def forget(self, layer: FloatLayer) -> None:
        """`layer` has run."""
        self._uses.subtract(layer.takes)
        for name in [name for name in self if self._uses[name] <= 0]:
            del self[name]


def run(layers: list[FloatLayer], images: Tensor) -> Iterator[tuple[FloatLayer, Tensor, Tensor]]:
    """(layer, total before the limits, map) of each layer, for real images; as the network."""
    maps = Maps(layers, images)
    for layer in layers:
        residual = maps[layer.residual] if layer.residual else None
        total = layer.total(layer.respond(maps[layer.source]), residual)
        maps[layer.name] = pooled(total.clamp(*layer.limits), layer.pool)
        yield layer, total, maps[layer.name]
        maps.forget(layer)


class _Tracer(fx.Tracer):
    def __init__(self) -> None:
        super().__init__(param_shapes_constant=True)

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return kind_of(module) is not None or super().is_leaf_module(module, name)


class _Builder:
    """Reads a traced graph node by node. values: the map that each node stands for."""

    def __init__(self, network: nn.Module, graph: fx.Graph, in_shape: tuple[int, int, int]):
        self.layers: list[FloatLayer] = []
        self.modules = dict(network.named_modules())
        self.values: dict[fx.Node, str] = {}
        self.shapes = {IMAGE: tuple(in_shape)}
        for node in graph.nodes:
            if node.op == "placeholder" and not self.values:
                self.values[node] = IMAGE
            elif node.op == "output":
                self._finish(node)
            elif _tells_size(node):
                continue  # of use to a `view` alone
            elif any(argument in self.values for argument in node.all_input_nodes):
                self.values[node] = self._value(node)

    def _finish(self, node: fx.Node) -> None:
        if not self.layers or self.values.get(node.args[0]) != self.layers[-1].name:
            raise ValueError("the network's output must be that of its last layer")

    def _value(self, node: fx.Node) -> str:
        source = self.values.get(node.args[0]) if node.args else None
        what: object = node.target
        if node.op == "call_module":
            what = self.modules[node.target]
            if kind_of(what) in ("adder", "cnn", "bnn") and not isinstance(
                what, nn.ConvTranspose2d | AdderConvTranspose2d
            ):
                return self._add_layer(str(node.target), what, source)
        if what in ADDITIONS:
            return self._add_residual(node)
        if isinstance(what, IGNORED) or _flattens(node, what, self.shapes.get(source, ())):
            return source
        change = self._change(node, what, source)
        if change is None:
            raise ValueError(
                f"{_place(node)}: {_call(what)} has no integer form; use adder, ordinary or binary "
                "convolution and linear layers, batch norm, ReLU, Hardtanh, pooling, addition and "
                "flatten(1)"
            )
        return self._follow(node, source, **change)

    def _add_layer(self, target: str, module: nn.Module, source: str) -> str:
        name = target.removeprefix("blocks.").removesuffix(".layer")
        if name in self.shapes:
            raise ValueError(f"layer {name!r}: must run once; give each use a layer of its own")
        layer = FloatLayer(name=name, kind=kind_of(module), layer=module, source=source)
        self.layers.append(layer)
        with torch.no_grad():
            probe = torch.zeros(1, *self.shapes[source], dtype=module.weight.dtype)
            shape = tuple(layer.respond(probe.to(module.weight.device)).shape[1:])
        self.shapes[name] = shape if len(shape) == 3 else (*shape, 1, 1)
        return name

    def _add_residual(self, node: fx.Node) -> str:
        if (alpha := node.kwargs.get("alpha", 1)) != 1:
            raise ValueError(f"{_place(node)}: alpha of an addition must be 1, not {alpha}")
        names = [self.values.get(argument) for argument in node.args[:2]]
        if None in names or len(names) != 2 or names[0] == names[1]:
            raise ValueError(f"{_place(node)}: an addition must be of two different maps")
        order = [layer.name for layer in self.layers]
        earlier, later = sorted(names, key=lambda name: order.index(name) if name in order else -1)
        return self._follow(node, later, residual=earlier)

    def _change(self, node: fx.Node, what: object, source: str) -> dict | None:
        """What the node adds to the layer that gives its map; None when it is not known."""
        if isinstance(what, NORMS):
            return {"norm": what}
        limits = _limits(node, what)
        if limits is not None:
            return {"limits": limits}
        pool = _pool(node, what, self.shapes[source])
        return None if pool is None else {"pool": pool}

    def _follow(self, node: fx.Node, name: str, **change: object) -> str:
        """Put `change` behind the layer that gives the map, if nothing else has seen it yet."""
        layer = next((some for some in self.layers if some.name == name), None)
        (key,) = change
        order = ("norm", "residual", "limits", "pool")
        default = {"limits": UNLIMITED}
        later = order[order.index(key) :]
        free = layer is not None and all(
            getattr(layer, what) == default.get(what) for what in later
        )
        carrier = next(some for some in node.all_input_nodes if self.values.get(some) == name)
        if not free or sum(not _tells_size(user) for user in carrier.users) > 1:
            raise ValueError(
                f"{_place(node)}: {key} must directly follow a layer, in the order batch norm, "
                f"addition, activation, pooling, and alone take its output, here of {name!r}"
            )
        setattr(layer, key, change[key])
        if key == "pool":
            self.shapes[name] = tuple(
                pooled(torch.zeros(1, *self.shapes[name]), change[key]).shape[1:]
            )
        return name


def _limits(node: fx.Node, what: object) -> tuple[float, float] | None:
    if isinstance(what, nn.ReLU) or what in (functional.relu, torch.relu, "relu", "relu_"):
        return 0.0, float("inf")
    if isinstance(what, nn.Hardtanh):  # nn.ReLU6 is one
        return float(what.min_val), float(what.max_val)
    if what is functional.hardtanh:
        low, high = (*node.args[1:3], -1.0, 1.0)[:2] if len(node.args) > 2 else (-1.0, 1.0)
        return float(node.kwargs.get("min_val", low)), float(node.kwargs.get("max_val", high))
    return None


def _pool(node: fx.Node, what: object, shape: tuple[int, ...]) -> Pool | None:
    whole = {"kind": "mean", "kernel": shape[1:], "stride": shape[1:]}
    if isinstance(what, nn.AdaptiveAvgPool2d) and _pair(what.output_size) == (1, 1):
        return Pool(**whole)
    if what in ("mean", torch.mean) and sorted(d % 4 for d in _mean_dims(node)) == [2, 3]:
        return Pool(**whole)
    kinds: dict[str, tuple[type, Callable]] = {
        "max": (nn.MaxPool2d, functional.max_pool2d),
        "mean": (nn.AvgPool2d, functional.avg_pool2d),
    }
    for kind, (module, function) in kinds.items():
        if isinstance(what, module):
            found = {name: getattr(what, name) for name in ("kernel_size", "stride", "padding")}
            odd = {name: getattr(what, name) for name in ODD if hasattr(what, name)}
        elif what is function:
            names = ("kernel_size", "stride", "padding")
            found = dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)
            odd = {name: found[name] for name in ODD if name in found}
        else:
            continue
        if any(value != ODD[name] for name, value in odd.items()) or len(node.args) > 4:
            return None
        kernel = _pair(found["kernel_size"])
        stride = _pair(found["stride"]) if found.get("stride") is not None else kernel
        padding = _pair(found.get("padding", 0))
        return Pool(kind=kind, kernel=kernel, stride=stride, padding=padding)
    return None


def _tells_size(node: fx.Node) -> bool:
    """x.size(), x.size(0), x.shape, and an item of the whole."""
    if node.op == "call_function" and node.target is operator.getitem:
        return isinstance(node.args[0], fx.Node) and _tells_size(node.args[0])
    if node.op == "call_function" and node.target is getattr:
        return node.args[1] == "shape"
    return (node.op, node.target) == ("call_method", "size")


def _flattens(node: fx.Node, what: object, shape: tuple[int, ...]) -> bool:
    """Whether the node makes one axis of all but the images'."""
    if isinstance(what, nn.Flatten):
        return what.start_dim == 1 and what.end_dim in (-1, len(shape))
    given = node.args[1:]
    if what in (torch.flatten, "flatten"):
        start, end = (*given, *(0, -1)[len(given) :])
        start, end = node.kwargs.get("start_dim", start), node.kwargs.get("end_dim", end)
        return start == 1 and end in (-1, len(shape))
    if what in ("view", "reshape", torch.reshape):
        sizes = given[0] if len(given) == 1 and isinstance(given[0], tuple | list) else given
        if len(sizes) != 2:
            return False
        all_pixels = _elements(sizes[1], node.args[0], shape) == math.prod(shape)
        return (_dim(sizes[0]) == 0 and (all_pixels or sizes[1] == -1)) or (
            sizes[0] == -1 and all_pixels
        )
    return False


def _dim(size: object) -> int | None:
    """d of x.size(d), x.size()[d] or x.shape[d]."""
    if not isinstance(size, fx.Node) or not _tells_size(size):
        return None
    dim = size.kwargs.get("dim", size.args[-1])
    return dim if isinstance(dim, int) else None


def _elements(size: object, source: fx.Node, shape: tuple[int, ...]) -> int | None:
    """What a number, a size of the map `source`, of `shape`, or a product of such comes to."""
    if not isinstance(size, fx.Node):
        return size if isinstance(size, int) else None
    if size.target is operator.mul:
        factors = [_elements(factor, source, shape) for factor in size.args]
        return None if None in factors else math.prod(factors)
    dim, of = _dim(size), size.args[0]
    if dim is None or source not in (of, *of.all_input_nodes):
        return None
    return (None, *shape)[dim] if -len(shape) <= dim <= len(shape) else None


def _mean_dims(node: fx.Node) -> tuple[int, ...]:
    dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else ())
    return tuple(dims) if isinstance(dims, tuple | list) else (dims,)


def _pair(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _place(node: fx.Node) -> str:
    return f"layer {node.target!r}" if node.op == "call_module" else f"operation {node.name!r}"


def _call(what: object) -> str:
    if isinstance(what, nn.Module):
        return type(what).__name__
    return getattr(what, "__name__", str(what))
