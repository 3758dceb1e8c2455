"""PEs made by hand of an FPGA's own carry cells: which there are, and what the fabrics share."""

from . import ecp5, ice40, xilinx7
from .config import ArrayConfig
from .pipeline import Arithmetic
from .plain_sum import add_total

_MADE = {
    ("ice40", "complement"): Arithmetic(
        ice40.accumulate_distance,
        ice40.total_distance,
        ice40.add_total,
        ice40.ahead_distance,
        ice40.load_total,
    ),
    ("ice40", "mac"): Arithmetic(
        ice40.PRODUCTS.accumulate, ice40.PRODUCTS.total, add_total, load=ice40.load_total
    ),
    ("ecp5", "complement"): Arithmetic(
        ecp5.accumulate_distance,
        ecp5.total_distance,
        ecp5.add_total,
        ecp5.ahead_distance,
        ecp5.load_total,
    ),
    ("ecp5", "mac"): Arithmetic(
        ecp5.PRODUCTS.accumulate, ecp5.PRODUCTS.total, add_total, load=ecp5.load_total
    ),
    ("xilinx7", "complement"): Arithmetic(
        xilinx7.accumulate_distance, xilinx7.total_distance, add_total
    ),
    ("xilinx7", "mac"): Arithmetic(xilinx7.accumulate_product, xilinx7.total_product, add_total),
}

# By target: how accumulators of all kinds of PEs take their first term, without gates before them.
LOADS = {"ice40": ice40.load_total, "ecp5": ecp5.load_total}


def hand_made(config: ArrayConfig) -> Arithmetic | None:
    """How PEs of the configuration add with the cells of `config.target`; the pairs are (a, w), or
    (a, ~w) with `weights_inverted`. None where nothing is made by hand."""
    return _MADE.get((config.target, config.pe))


def on_fabric(config: ArrayConfig, target: str) -> ArrayConfig:
    """The configuration with PEs made by hand for that FPGA, which are smaller than generic ones,
    adders and MACs alike; unchanged where nothing is made by hand."""
    made = ArrayConfig(**config.model_dump() | {"target": target})
    return made if hand_made(made) else config


def weights_inverted(config: ArrayConfig) -> bool:
    """Whether the PEs take and pass on ~w, since the fabric's carry cells invert no operand."""
    return (config.target, config.pe) == ("ice40", "complement")
