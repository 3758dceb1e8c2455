"""Real work for an array: the matrix forms of a quantized network's layers on real images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from golden import reference
from golden.spec import LayerSpec, QuantizedModel
from hw.config import ArrayConfig

# The kind of layer that a PE kind computes; the others have none yet.
KINDS = {
    "complement": "adder",
    "min": "adder",
    "two_adder": "adder",
    "compare_swap": "adder",
    "mac": "mac",
    "xnor": "xnor",
}


@dataclass(frozen=True, kw_only=True)
class MatrixForm:
    """One layer as a matrix form: activations (m, k), weights (n, k), and the sums (m, n) that
    are expected: of the integer reference, SAD for adder layers, Σ a · w for mac layers; of an
    array, what `array_sums` says."""

    name: str
    activations: np.ndarray
    weights: np.ndarray
    sums: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int]:
        return *self.activations.shape, len(self.weights)


def matrix_forms(model: QuantizedModel, codes: np.ndarray) -> Iterator[MatrixForm]:
    """Every layer of `model` on images given as codes (images, channels, height, width).

    Output positions come in the order image, row, column; terms in the order channel, kernel row,
    kernel column.
    """
    for record in reference.run(model, codes):
        spec = record.layer.spec
        _, k, n = spec.matrix_shape()
        yield MatrixForm(
            name=spec.name,
            activations=reference.unfold(record.codes_in, spec),
            weights=record.layer.weight.reshape(n, k),
            sums=_sums_matrix(record.accumulators, spec),
        )


def check_fit(model: QuantizedModel, config: ArrayConfig) -> None:
    """ValueError when a layer cannot run on the array: another kind, more bits, a longer sum,
    channels of several scales."""
    if config.pe not in KINDS:
        raise ValueError(
            f"{model.name} cannot run on pe {config.pe!r}, for which there is no kind of layer; "
            f"use one of {', '.join(KINDS)}"
        )
    for layer in model.layers:
        check_layer(layer.spec, model.name, config)


def check_layer(spec: LayerSpec, model: str, config: ArrayConfig) -> None:
    """ValueError when the model's layer cannot run on the array, as `check_fit` says."""
    where, kind = f"layer {spec.name!r} of {model}", KINDS[config.pe]
    if spec.kind != kind:
        raise ValueError(
            f"{where} must be of kind {kind!r} for pe {config.pe!r}, not {spec.kind!r}"
        )
    if any(spec.weigh):
        raise ValueError(
            f"{where} must have one scale for all channels, not {max(spec.weigh) + 1}: PEs "
            "weigh all terms alike; quantize with groups 1"
        )
    if kind == "xnor" and any(spec.padding):
        raise ValueError(
            f"{where} must have no padding for pe 'xnor', not {spec.padding}: a padded zero is no "
            "sign"
        )
    for name, needed, has in (
        ("width", spec.width, config.width),
        ("depth", spec.reduction, config.depth),
    ):
        if needed > has:
            raise ValueError(
                f"{where} needs {name} {needed}, but the array has {has}; "
                f"set {name} to at least {needed}"
            )


def generated_forms(config: ArrayConfig, seed: int = 0) -> Iterator[MatrixForm]:
    """Operands that try an array of any size: the largest sums first, then random ones with
    shapes that fill no tile, the longest reduction among them."""
    rng = np.random.default_rng(seed)
    low = -(2 ** (config.width - 1)) if config.weight_signed else 0
    high, top = low + 2**config.width - 1, 2**config.width - 1
    rows, cols, lanes, depth = config.rows, config.cols, config.lanes, config.depth
    corners = np.array([[top, low], [0, high]])
    for name, (a, w) in zip(("highest", "lowest"), corners, strict=True):
        yield _form(config, name, np.full((1, depth), a), np.full((1, depth), w))
    shapes = [(1, 1, 1), (rows, 1, cols), (rows + 1, depth, cols + 1)]
    shapes.append((2 * rows + 1, min(depth, 3 * lanes + 1), 2 * cols - 1))
    for m, k, n in shapes:
        a, w = rng.integers(0, top + 1, (m, k)), rng.integers(low, high + 1, (n, k))
        yield _form(config, f"random {m} x {k} x {n}", a, w)


def for_array(forms: Iterable[MatrixForm], config: ArrayConfig) -> Iterator[MatrixForm]:
    """Layers' forms as the array takes them: in `min` the sums are the SAD less the sum of the
    filter's weights, whose place is the bias; in `xnor` activations are signs, 1 and 0, and sums
    the numbers of mismatches, of which there are (k - sum) / 2."""
    for form in forms:
        if config.pe == "min":
            yield replace(form, sums=form.sums - form.weights.sum(axis=1))
        elif config.pe == "xnor":
            mismatches = (form.activations.shape[1] - form.sums) // 2
            signs = (form.activations > 0).astype(np.int64)
            yield replace(form, activations=signs, sums=mismatches)
        else:
            yield form


def array_sums(config: ArrayConfig, a: np.ndarray, w: np.ndarray) -> np.ndarray:
    """(m, n) sums that an array gives for activations (m, k) and weights (n, k): Σ a · w in `mac`,
    Σ (a − w)² in `square`, mismatches in `xnor`, SAD − Σw in `min`, SAD in the other kinds."""
    if config.pe == "mac":
        return a @ w.T
    differences = [np.abs(a - filter) for filter in w]
    if config.pe == "square":
        differences = [difference**2 for difference in differences]
    sums = np.stack([difference.sum(axis=1) for difference in differences], axis=1)
    return sums - w.sum(axis=1) if config.pe == "min" else sums


def _form(config: ArrayConfig, name: str, a: np.ndarray, w: np.ndarray) -> MatrixForm:
    return MatrixForm(name=name, activations=a, weights=w, sums=array_sums(config, a, w))


def _sums_matrix(accumulators: np.ndarray, spec: LayerSpec) -> np.ndarray:
    return accumulators.transpose(0, 2, 3, 1).reshape(-1, spec.out_channels)
