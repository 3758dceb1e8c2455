"""The nodes of one layer in an exported network."""

import numpy as np
from onnx import GraphProto, helper, numpy_helper

from .onnx_functions import DOMAIN
from .spec import LayerSpec, Pool, QuantizedLayer

EXACT = {np.float32: 2**24, np.float64: 2**53}  # whole numbers below are exact
LARGEST_SHIFT = 62  # 2**63 is no int64; and no code has a bit so high


class Nodes:
    """Adds nodes and constants to a graph, under names that begin with `name`; each method gives
    the name of the value that it adds."""

    def __init__(self, graph: GraphProto, name: str) -> None:
        self.graph, self.name = graph, name

    def constant(self, what: str, value: object, kind: type | np.dtype = np.int64) -> str:
        name = f"{self.name}/{what}"
        self.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def call(self, what: str, function: str, *inputs: str) -> str:
        """A node of one of `golden.onnx_functions`."""
        return self.standard(what, function, *inputs, domain=DOMAIN)

    def standard(self, what: str, operator: str, *inputs: str, **details: object) -> str:
        """A node of a standard operator."""
        name = f"{self.name}/{what}"
        self.graph.node.append(helper.make_node(operator, inputs, [name], name, **details))
        return name


def add_layer(
    graph: GraphProto, layer: QuantizedLayer, maps: dict[str, str], flatten: bool
) -> None:
    """Nodes that give the layer's map under the layer's name. maps: the values of the maps before
    it, by name. flatten: whether it takes its source as vectors."""
    spec, nodes = layer.spec, Nodes(graph, layer.spec.name)
    codes = maps[spec.source]
    if flatten:
        shape = nodes.constant("in_shape", (-1, *spec.in_shape))
        codes = nodes.standard("flat", "Reshape", codes, shape)
    total = nodes.call("scaled", "Scale", _sums(nodes, layer, codes), *_by_filter(nodes, layer))
    if spec.residual:
        zero = nodes.constant("residual_zero", spec.residual_zero_point)
        mult = nodes.constant("residual_mult", layer.residual_mult.reshape(-1, 1, 1))
        total = nodes.call("added", "AddMap", total, maps[spec.residual], zero, mult)
    divisor = nodes.constant("divisor", 2 ** layer.shift.reshape(-1, 1, 1))
    zero = nodes.constant("zero", spec.out_zero_point)
    highest = nodes.constant("highest", 2**spec.out_width - 1, np.float64)
    codes = nodes.call("codes", "Store", total, divisor, zero, highest)
    if spec.pool:
        _pool(nodes, spec, codes, zero)
    graph.node[-1].output[0] = spec.name


def _by_filter(nodes: Nodes, layer: QuantizedLayer) -> list[str]:
    arrays = {"bias": layer.bias, "mult": layer.mult}
    return [nodes.constant(name, value.reshape(-1, 1, 1)) for name, value in arrays.items()]


def _sums(nodes: Nodes, layer: QuantizedLayer, codes: str) -> str:
    """Terms that count w times: w · |x - f| = |w · x - w · f|, and w · (x · f) = x · (w · f)."""
    spec, adder = layer.spec, layer.spec.kind == "adder"
    operands, weight = _operands(nodes, spec, codes), _weight(nodes, layer)
    if any(spec.weigh):
        weigh = nodes.constant("weigh", 2 ** np.reshape(spec.weigh, (-1, 1, 1)))
        if adder:
            operands = nodes.standard("operands_weighed", "Mul", operands, weigh)
        weigh = nodes.standard("weigh_cast", "CastLike", weigh, weight)
        weight = nodes.standard("weight_weighed", "Mul", weight, weigh)
    places = _places(nodes, "", spec, spec.map_shape)
    shape = nodes.constant("map_shape", (spec.out_channels, -1, *spec.map_shape))
    function = "AdderConv" if adder else "MacConv"
    return nodes.call("sums", function, operands, weight, *places, shape)


def _operands(nodes: Nodes, spec: LayerSpec, codes: str) -> str:
    if spec.kind == "xnor":
        zero = nodes.constant("in_zero", spec.in_zero_point)
        signs = nodes.call("signs", "Signs", codes, zero)
        return _padded(nodes, "padded", signs, spec.padding, 0)
    codes = _padded(nodes, "padded", codes, spec.padding, spec.in_zero_point)
    if not any(spec.drop) and spec.in_width <= spec.width:
        return codes
    drop = np.minimum(spec.drop, LARGEST_SHIFT).reshape(-1, 1, 1)
    divisor = nodes.constant("in_divisor", 2**drop)
    highest = nodes.constant("in_highest", 2**spec.width - 1)
    return nodes.call("operands", "Read", codes, divisor, highest)


def _weight(nodes: Nodes, layer: QuantizedLayer) -> str:
    """Stored in the smallest type, cast to the one of the sums; signs are -1 and 1."""
    spec = layer.spec
    value = 2 * layer.weight - 1 if spec.kind == "xnor" else layer.weight
    stored = f"{'uint' if spec.kind == 'adder' else 'int'}{8 if spec.width <= 8 else 16}"
    weight = nodes.constant("weight", value, np.dtype(stored))
    kind = next(kind for kind, limit in EXACT.items() if spec.accumulator_limit < limit)
    to = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    return nodes.standard("weight_cast", "Cast", weight, to=to)


def _pool(nodes: Nodes, spec: LayerSpec, codes: str, zero: str) -> None:
    codes = _padded(nodes, "pool_padded", codes, spec.pool.padding, 0)
    places = _places(nodes, "pool_", spec.pool, spec.out_shape[1:])
    if spec.pool.kind == "max":
        nodes.call("pooled", "MaxPool", codes, *places)
    else:
        divisor = nodes.constant("pool_divisor", 2**spec.pool.shift)
        nodes.call("pooled", "MeanPool", codes, *places, zero, divisor)


def _padded(nodes: Nodes, what: str, codes: str, padding: tuple[int, int], value: int) -> str:
    if padding == (0, 0):
        return codes
    pads = nodes.constant(f"{what}_pads", (0, 0, *padding) * 2)
    return nodes.standard(what, "Pad", codes, pads, nodes.constant(f"{what}_value", value))


def _places(
    nodes: Nodes, prefix: str, window: LayerSpec | Pool, shape: tuple[int, ...]
) -> list[str]:
    """(kernel, places) for rows and columns: where each window takes each of its elements."""
    sides = zip(("rows", "cols"), window.kernel, window.stride, shape, strict=True)
    return [
        nodes.constant(prefix + name, np.arange(kernel)[:, None] + stride * np.arange(places))
        for name, kernel, stride, places in sides
    ]
