"""A quantized network as an ONNX file that gives the integers of `golden.reference`, bit for bit.
NumPy and onnx only.

The graph has a few nodes a layer, calls of the functions of `golden.onnx_functions`, named
layer/step; the map that a layer gives has the layer's name. A layer's sums are made in float32
or float64, whichever is the first in which they are exact, whatever the order of their terms.
"""

import json
from importlib import metadata
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, checker, helper

from .archive import write_whole
from .certificate import certify
from .model_file import FORMAT, FORMAT_VERSION
from .onnx_functions import DOMAIN, OPSET, functions
from .onnx_layer import EXACT, Nodes, add_layer
from .spec import IMAGE, QuantizedModel

IR_VERSION = 8  # the first with local functions: onnx 1.10 of 2021


def save_onnx(
    model: QuantizedModel, path: str | Path, codes: bool = False, all_layers: bool = False
) -> ModelProto:
    """Write `onnx_model` as a file, byte-identical for equal models, that appears when whole."""
    proto = onnx_model(model, codes, all_layers)
    write_whole(path, proto.SerializeToString(deterministic=True))
    return proto


def onnx_model(model: QuantizedModel, codes: bool = False, all_layers: bool = False) -> ModelProto:
    """The network as an ONNX model, checked.

    Its input "image" is float32 (N, *in_shape), of finite numbers; or with `codes` int64, the
    input's codes. The model checks neither. Its output is the last layer's map, int64, under the
    layer's name; with `all_layers` every layer's, in order. N may be any number, 0 too.

    Raises ValueError on layers whose sums may reach 2**53 or whose products need more than 63
    bits, and on names with '/'.
    """
    _check(model)
    graph = GraphProto(name=model.name or DOMAIN)
    kind = TensorProto.INT64 if codes else TensorProto.FLOAT
    graph.input.append(helper.make_tensor_value_info(IMAGE, kind, ["N", *model.in_shape]))
    maps, shapes = {IMAGE: IMAGE if codes else _encode(graph, model)}, {IMAGE: model.in_shape}
    for layer in model.layers:
        spec = layer.spec
        add_layer(graph, layer, maps, flatten=spec.in_shape != shapes[spec.source])
        maps[spec.name], shapes[spec.name] = spec.name, spec.out_shape
    for layer in model.layers if all_layers else model.layers[-1:]:
        text = f"{layer.spec.out_width}-bit codes, zero point {layer.spec.out_zero_point}"
        places = (layer.spec.name, TensorProto.INT64, ["N", *layer.spec.out_shape], text)
        graph.output.append(helper.make_tensor_value_info(*places))
    proto = _in_file(model, graph)
    checker.check_model(proto, full_check=True)
    return proto


def _check(model: QuantizedModel) -> None:
    for layer, proof in zip(model.layers, certify(model), strict=True):
        where = f"layer {layer.spec.name!r}:"
        if not layer.spec.name or "/" in layer.spec.name:
            raise ValueError(f"{where} an ONNX name must not be empty or have a '/'; rename it")
        limit, bits = layer.spec.accumulator_limit, proof.product_bits
        if limit >= max(EXACT.values()):
            raise ValueError(f"{where} sums must be below 2**53, but may reach {limit}; drop less")
        if bits > 63:
            raise ValueError(
                f"{where} products must fit 63 bits, but need {bits}; take a smaller bias or mult"
            )


def _encode(graph: GraphProto, model: QuantizedModel) -> str:
    nodes = Nodes(graph, IMAGE)
    values = {
        "scale": model.input_scale,
        "zero": model.input_zero_point,
        "highest": 2**model.input_width - 1,
    }
    constants = [nodes.constant(name, value, np.float64) for name, value in values.items()]
    return nodes.call("codes", "Encode", IMAGE, *constants)


def _in_file(model: QuantizedModel, graph: GraphProto) -> ModelProto:
    proto = helper.make_model(
        graph,
        functions=functions(),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)],
        ir_version=IR_VERSION,
        producer_name="adderforge",
        producer_version=metadata.version("adderforge"),
        doc_string=f"{model.name}: a network of integers; a map's codes are named as its layer",
    )
    header = {name: value for name, value in vars(model).items() if name != "layers"}
    header |= {"format": FORMAT, "format_version": FORMAT_VERSION}
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for name, value in sorted(header.items())
    }
    helper.set_model_props(proto, texts)
    return proto
