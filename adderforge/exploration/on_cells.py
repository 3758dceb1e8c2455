"""Arrays for a cell library: their area, clock rate and energy on the network's own activations.

Memories and requantizers around them are not counted.
"""

from collections.abc import Iterable
from dataclasses import replace

from hw.config import ArrayConfig

from .calibration import samples
from .cost_model import CostModel
from .design import Design
from .effort import CLOCK, ENERGY, SYNTHESIS, Effort
from .measuring import Laboratory
from .objectives import microjoules
from .on_board import LANES, SIDES
from .promise import Option, Wish, check_positive
from .space import Space
from .task import Task
from .workloads import Workload

PES = {"adder": ("complement", "min"), "mac": ("mac",)}


class OnCells:
    """The least area is best. An array runs as fast as its longest path lets it, or at clock_mhz
    where that is given and slower. Energies that no model guesses are known once they are built."""

    best = "area_um2"

    def __init__(
        self, wish: Wish, workload: Workload, clock_mhz: float | None, laboratory: Laboratory
    ) -> None:
        check_positive(clock_mhz=clock_mhz)
        self.wish, self.workload, self.clock_mhz = wish, workload, clock_mhz
        self.effort = Effort()
        self._laboratory = laboratory
        self._model = CostModel(samples(laboratory))

    @property
    def limits(self) -> dict[str, float]:
        most = self.wish.microjoules
        return {} if most is None else {"microjoules": most}

    @property
    def built_limits(self) -> dict[str, float]:
        return self.limits

    @property
    def scope(self) -> str:
        return "of arrays, without memories"

    @property
    def place(self) -> str:
        return self.effort.liberty.name

    def designs(self) -> list[Design]:
        """ValueError where the network has layers of several kinds, or of signs."""
        kinds = sorted({layer.spec.kind for layer in self.wish.model.layers})
        if len(kinds) > 1 or kinds[0] not in PES:
            raise ValueError(
                f"{self.wish.model.name} must have layers of one kind, adder or mac, where no "
                f"board is given, not {' and '.join(kinds)}"
            )
        space = Space(
            pe=PES[kinds[0]],
            width=self.wish.width,
            rows=SIDES,
            cols=SIDES,
            lanes=LANES,
            depth=self.workload.depth,
        )
        return space.designs()

    def guesses(self, designs: Iterable[Design]) -> list[Option]:
        designs, options = list(designs), []
        found = self._model.guess(designs, self.effort.place)
        for design, (figures, errors) in zip(designs, found, strict=True):
            if {"area_um2", "fmax_mhz"} <= set(figures):
                options.append(self._promise(design, figures, errors))
        return options

    def _promise(self, design: Design, figures: dict, errors: dict) -> Option:
        used, stated = {"area_um2": figures["area_um2"]}, {"area_um2": errors["area_um2"]}
        if "pj_per_op" in figures:
            used["microjoules"] = microjoules(figures["pj_per_op"], self.workload.operations)
            stated["microjoules"] = errors["pj_per_op"]
        clock, is_given = self._clock(figures["fmax_mhz"])
        if not is_given:
            stated["images_per_second"] = errors["fmax_mhz"]
        rate = self._rate(design.array, clock)
        return Option(design=design, images_per_second=rate, used=used, errors=stated)

    def _clock(self, fmax_mhz: float) -> tuple[float, bool]:
        """The array's, and whether it is the one that was given."""
        if self.clock_mhz is None or self.clock_mhz > fmax_mhz:
            return fmax_mhz, False
        return self.clock_mhz, True

    def _rate(self, array: ArrayConfig, clock_mhz: float) -> float:
        return clock_mhz * 1e6 / self.workload.cycles(array)

    def complete(self, option: Option) -> Option:
        return option

    def build(self, option: Option, progress) -> Option:
        """With what synthesis and its longest path give, and gate-level simulation if an energy is
        wished."""
        levels = (SYNTHESIS, CLOCK) + ((ENERGY,) if self.wish.microjoules else ())
        figures: dict[str, float] = {}
        for level in levels:
            task = Task(
                level=level, design=option.design, workload=self.workload, effort=self.effort
            )
            (found,) = self._laboratory.measure([task], progress)
            if found.reason:
                return replace(option, failure=found.reason)
            figures |= found.figures
        clock, _ = self._clock(figures["fmax_mhz"])
        built = {
            "area_um2": figures["area_um2"],
            "fmax_mhz": figures["fmax_mhz"],
            "images_per_second": self._rate(option.design.array, clock),
        }
        if "pj_per_op" in figures:
            built["microjoules"] = microjoules(figures["pj_per_op"], self.workload.operations)
        return replace(option, built=built)
