"""Real work for an array: the matrix forms of a quantized network's layers on real images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from golden import reference
from golden.spec import LayerSpec, QuantizedModel


@dataclass(frozen=True, kw_only=True)
class MatrixForm:
    """One layer as a matrix form: activations (m, k), weights (n, k), and the sums (m, n) that
    the integer reference gives: SAD for adder layers, Σ a · w for mac layers."""

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


def _sums_matrix(accumulators: np.ndarray, spec: LayerSpec) -> np.ndarray:
    return accumulators.transpose(0, 2, 3, 1).reshape(-1, spec.out_channels)
