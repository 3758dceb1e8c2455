"""The levels at which designs are measured, the cheap first, and how."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hw.choices import BUILT_IN_LIBRARY, TARGETS
from hw.fabric import FABRICS
from hw.liberty_text import read_text

CYCLES, SYNTHESIS, CLOCK, ENERGY, ACCURACY = range(5)
LEVELS = ("cycles", "synthesis", "clock rate", "energy", "accuracy")

OF_CELLS = ("area_um2", "sequential_area_um2")
OF_FPGAS = ("luts", "carries", "flip_flops", "dsps", "block_rams")


@dataclass(frozen=True, kw_only=True)
class Effort:
    """target: of `hw.choices.TARGETS`. liberty: cell library of "asic". ultraplus: the iCE40 has
    multiplier blocks, and single-port RAM for weights, as the UP5K does. seeds: placements of
    level 2. images, batches, cycles: of level 3, as in `adderforge energy`. test_images: of level
    4, the first so many; None for all. ValueError for anything else."""

    target: str = "asic"
    liberty: Path = BUILT_IN_LIBRARY
    ultraplus: bool = False
    seeds: int = 1
    images: int = 2
    batches: int = 1
    cycles: int = 2000
    test_images: int | None = None

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}, not {self.target!r}")
        if self.ultraplus and self.target != "ice40":
            raise ValueError(f"ultraplus must be left out for target {self.target!r}")
        if self.liberty != BUILT_IN_LIBRARY and self.target != "asic":
            raise ValueError(
                f"liberty must be left out for target {self.target!r}; it is of asic alone"
            )
        for name in ("seeds", "images", "batches", "cycles", "test_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")

    @property
    def place(self) -> str:
        """The target, with a digest of the cell library where it has one."""
        return f"asic {_digest(self.liberty)}" if self.target == "asic" else self.target

    @property
    def accelerator_place(self) -> str:
        """The same for accelerators, whose memories and requantizer are made of what it has."""
        return f"{self.place} ultraplus" if self.ultraplus else self.place

    @property
    def defaults(self) -> dict[str, str]:
        """What designs are given that leave it open: the FPGA's PEs made by hand."""
        return {} if self.target == "asic" else {"target": self.target}

    @property
    def without(self) -> tuple[str, ...]:
        """Figures that no design has on the target."""
        return OF_FPGAS if self.target == "asic" else OF_CELLS

    def check(self, level: int, accelerator: bool = False) -> None:
        """ValueError when the level cannot be measured for the target."""
        if level == CLOCK and accelerator and self.target != "asic":
            raise ValueError(
                "clock rates of whole accelerators on FPGAs come from 'adderforge build'; fidelity "
                f"must be at most {SYNTHESIS}, or 4 without clock rates, not {level}"
            )
        if level == CLOCK and self.target != "asic" and FABRICS[self.target].router is None:
            raise ValueError(
                f"there is no place and route for {self.target}, so fidelity must be at most "
                f"{SYNTHESIS}, or 4 without clock rates, not {level}"
            )
        if level == ENERGY and self.target != "asic" and not (self.ultraplus and accelerator):
            raise ValueError(
                f"energy is of cell libraries, and of accelerators in an iCE40 UltraPlus: target "
                f"must be 'asic', or 'ice40' with ultraplus and accelerator, for fidelity "
                f"{ENERGY}, not {self.target!r}"
            )


@cache
def _digest(library: Path) -> str:
    return hashlib.sha256(read_text(library).encode()).hexdigest()[:12]
