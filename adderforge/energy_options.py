"""What `adderforge energy` is asked for, beside the hardware."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .options import cell_library, show

if TYPE_CHECKING:
    import numpy as np

    from golden.spec import QuantizedModel
    from hw.delays import Delays, Surroundings
    from hw.synth import SynthReport


@dataclass(frozen=True, kw_only=True)
class Work:
    """Which operands: of `batches` times `images` images, the layer of that name or all."""

    model: Path
    layer: str | None
    vectors: Path | None
    data: str | None
    data_dir: str | None
    images: int
    batches: int

    def all_images(self, network: "QuantizedModel") -> "np.ndarray":
        """Those of all batches; ValueError when there are too few."""
        from .pictures import images_from

        for name in ("images", "batches"):
            if (number := getattr(self, name)) < 1:
                raise ValueError(f"{name} must be at least 1, not {number}")
        wanted = self.images * self.batches
        images = images_from(network, self.vectors, self.data, self.data_dir, wanted)
        if len(images) < wanted:
            raise ValueError(
                f"{self.batches} batches of {self.images} images need {wanted}, but there are "
                f"{len(images)}; give fewer"
            )
        return images[:wanted]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """How, and what becomes of it."""

    activity: str
    from_activity: Path | None
    save_activity: bool
    cycles: int
    clock_mhz: float | None
    board: str | None
    liberty: tuple[Path, ...]
    pdk: str | None
    multiplier: str | None
    wire_load: str | None
    wire_ff_per_fanout: float
    memory_pj_per_bit: float | None
    out: Path | None
    as_json: bool

    @property
    def energy_clock_mhz(self) -> float:
        """The clock of leakage and power."""
        from sim.gate_run import CLOCK_MHZ

        return CLOCK_MHZ if self.clock_mhz is None else self.clock_mhz

    def library(self) -> tuple[Path, ...]:
        return cell_library(self.liberty, self.pdk)

    def surroundings(self, library: tuple[Path, ...]) -> "Surroundings":
        """Checked, as the other numbers are: ValueError when one is out of range."""
        from hw.delays import Surroundings, check_surroundings
        from hw.liberty import read_library
        from hw.memory import check_pj_per_bit

        self.check_numbers()
        check_pj_per_bit(self.memory_pj_per_bit)
        pf = self.wire_ff_per_fanout / 1000
        around = Surroundings(wire_load=self.wire_load, wire_pf_per_fanout=pf)
        check_surroundings(around, read_library(library))
        return around

    def check_numbers(self) -> None:
        """ValueError when one is out of range, or there is no such activity."""
        from sim.gate_run import check_activity

        for name in ("cycles", "energy_clock_mhz"):
            if not 0 < (number := getattr(self, name)) < math.inf:
                raise ValueError(f"{name.removeprefix('energy_')} must be positive, not {number}")
        if not 0 <= self.wire_ff_per_fanout < math.inf:
            raise ValueError(
                f"wire_ff_per_fanout must be finite, at least 0, not {self.wire_ff_per_fanout}"
            )
        check_activity(self.activity)

    @contextmanager
    def area_alone(self) -> Iterator[None]:
        """Shows the area that there is where the library has no energies; the error goes on."""
        from .energy_run import NoPowerTables

        try:
            yield
        except NoPowerTables as error:
            area = error.synthesis.area_um2
            figures = {"area_um2": area, "pj_per_op": None}
            show(figures, self.as_json, f"area              {area:,.0f} µm²")
            raise


def listed(parts: dict[str, float | None]) -> str:
    """Figures in one line."""
    figures = {name: "unknown" if x is None else f"{x:.3g}" for name, x in parts.items()}
    return ", ".join(f"{name.replace('_', ' ')} {figure}" for name, figure in figures.items())


def path_line(delays: "Delays", synthesis: "SynthReport", clock_mhz: float) -> str:
    """The longest path, what the cells were mapped for, and whether the clock is too fast."""
    period, path_ns = 1000 / clock_mhz, delays.longest_path_ns
    goal = "the least area" if synthesis.clock_mhz is None else f"{synthesis.clock_mhz:g} MHz"
    late = f": longer than the clock's period of {period:.3g} ns" if path_ns > period else ""
    return f"longest path      {path_ns:.3g} ns, mapped for {goal}{late}"
