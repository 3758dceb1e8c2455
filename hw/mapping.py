"""PEs made by hand of an FPGA's own carry cells: which there are, and what the fabrics share."""

from collections.abc import Callable

from amaranth import Module, Signal, Value

from . import ecp5, ice40, xilinx7
from .config import ArrayConfig

Step = Callable[[Module, Signal, list[tuple[Value, Value]]], Value]

_STEPS: dict[tuple[str, str], Step] = {
    ("ice40", "complement"): ice40.accumulate_distance,
    ("ecp5", "complement"): ecp5.accumulate_distance,
    ("ecp5", "mac"): ecp5.accumulate_product,
    ("xilinx7", "complement"): xilinx7.accumulate_distance,
    ("xilinx7", "mac"): xilinx7.accumulate_product,
}


def hand_made(config: ArrayConfig) -> Step | None:
    """What a PE adds in a cycle, made of the cells of `config.target`: a function of module,
    accumulator and pairs (a, w) that returns the new sum. None where nothing is made by hand."""
    return _STEPS.get((config.target, config.pe))


def weights_inverted(config: ArrayConfig) -> bool:
    """Whether the PEs take and pass on ~w, since the fabric's carry cells invert no operand."""
    return config.target == "ice40" and hand_made(config) is not None
