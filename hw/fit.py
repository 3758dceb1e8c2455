"""Whether an accelerator can run a quantized network, before anything is placed."""

import math

from golden.spec import IMAGE, LayerSpec, QuantizedModel

from .accelerator_config import AcceleratorConfig
from .array_sums import array_sums
from .config import ArrayConfig
from .descriptor import computed_size


def check_fit(model: QuantizedModel, config: AcceleratorConfig) -> None:
    """ValueError when a layer has what the accelerator cannot run: what, its numbers, and what
    would do."""
    if model.requantize != config.requantize == "shift":
        raise ValueError(
            f"{model.name} has multipliers for requantize {model.requantize!r}, but the "
            "accelerator can only shift; quantize the model with requantize 'shift'"
        )
    shapes = {IMAGE: model.in_shape} | {
        layer.spec.name: layer.spec.out_shape for layer in model.layers
    }
    for index, layer in enumerate(model.layers):
        where = f"layer {layer.spec.name!r} of {model.name}"
        _check_kind(where, layer.spec, config)
        _check_numbers(where, layer.spec, config)
        _check_pool(where, layer.spec)
        _check_shape(where, layer.spec, shapes[layer.spec.source])
        if index < len(model.layers) - 1:
            _check_at_most(where, "out_width", layer.spec.out_width, "map_width", config)
        elif math.prod(layer.spec.out_shape[1:]) > 1 or layer.spec.pool:
            raise ValueError(
                f"{where} is the last and must give a 1 × 1 map without pooling, "
                f"not {layer.spec.out_shape}"
            )
    _check_last(model, config)
    _check_sums(model, config)


def _check_last(model: QuantizedModel, config: AcceleratorConfig) -> None:
    last = model.layers[-1].spec
    if last.residual == IMAGE and config.external != "maps":
        raise ValueError(
            f"layer {last.name!r} of {model.name} is the last and must not add the image, which "
            "the next one takes the place of by then; add it in a layer before"
        )


def _check_kind(where: str, spec: LayerSpec, config: AcceleratorConfig) -> None:
    kinds = config.kinds[config.array.pe]
    if spec.kind not in kinds:
        raise ValueError(
            f"{where} must be of kind {' or '.join(map(repr, kinds))} for pe {config.array.pe!r}, "
            f"not {spec.kind!r}"
        )
    if len(set(spec.drop)) > 1:
        raise ValueError(
            f"{where} must drop as many bits of all channels, not {min(spec.drop)} to "
            f"{max(spec.drop)}, which is not supported yet; quantize with groups 1"
        )


def _check_numbers(where: str, spec: LayerSpec, config: AcceleratorConfig) -> None:
    array, (rows, columns) = config.array, computed_size(spec)
    if config.external == "maps":  # a band may be of one row, before pooling a row of windows
        rows = spec.pool.kernel[0] if spec.pool else 1
    if array.pe == "xnor":
        _check_at_most(where, "width", spec.width, "map_width", config)
    else:
        _check_at_most(where, "width", spec.width, "width", array)
    _check_at_most(where, "in_width", spec.in_width, "map_width", config)
    _check_at_most(where, "reduction", spec.reduction, "depth", array)
    _check_at_most(where, "positions", rows * columns, "positions", array)


def _check_sums(model: QuantizedModel, config: AcceleratorConfig) -> None:
    """Sums of planes are more than those of as many terms; those of the widest layer must do."""
    array = config.array
    largest = {
        layer.spec.name: int(array_sums(layer, config).highest.max()) for layer in model.layers
    }
    name = max(largest, key=largest.__getitem__)
    needed = largest[name].bit_length()
    if not array.acc_signed and needed > array.acc_width:
        most = array.acc_width - (array.depth - 1).bit_length()
        raise ValueError(
            f"layer {name!r} of {model.name} needs sums of {needed} bits, but the array's have "
            f"{array.acc_width} for depth {array.depth}; set depth to at least "
            f"{2 ** (needed - most - 1) + 1}"
        )


def _check_at_most(
    where: str, what: str, needed: int, name: str, has: ArrayConfig | AcceleratorConfig
) -> None:
    if needed > getattr(has, name):
        owner = "array" if isinstance(has, ArrayConfig) else "accelerator"
        raise ValueError(
            f"{where} needs {what} {needed}, but the {owner} has {name} {getattr(has, name)}; "
            f"set {name} to at least {needed}"
        )


def _check_pool(where: str, spec: LayerSpec) -> None:
    pool = spec.pool
    if pool is None:
        return
    for side, step, before in zip(pool.kernel, pool.stride, pool.padding, strict=True):
        if side > step + 1 or side > step <= before:  # a code would end two windows
            raise ValueError(
                f"{where} must pool with a kernel of at most its stride + 1, and then with padding "
                f"below the stride, not {pool.kernel}, stride {pool.stride}, padding {pool.padding}"
            )
    if pool.kernel[0] > computed_size(spec)[1] == 1:
        raise ValueError(f"{where} must not pool a single column of outputs by {pool.kernel}")


def _check_shape(where: str, spec: LayerSpec, shape: tuple[int, int, int]) -> None:
    if spec.in_shape != shape and (spec.kernel, spec.padding) != ((1, 1), (0, 0)):
        raise ValueError(
            f"{where} flattens its map and must then have a (1, 1) kernel without padding, "
            f"not {spec.kernel} with padding {spec.padding}"
        )
