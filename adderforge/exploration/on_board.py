"""Accelerators for a board: what they take of its FPGA, and how fast they are at its clock."""

from collections.abc import Iterable
from dataclasses import replace

from .accelerators import depth_of
from .around_model import AroundModel, bare
from .boards import Board
from .calibration import samples
from .cost_model import CostModel
from .design import Design
from .effort import SYNTHESIS, Effort
from .measuring import Laboratory
from .promise import Option, Wish
from .space import Space
from .task import Task
from .workloads import Workload

ROOM = 0.9  # of LUTs and flip-flops that may be taken, so that they can be placed
ARRAY_ROOM = 0.7  # that an array may take where what stands around it was not measured
SIDES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
LANES = (1, 2, 3, 4, 6, 8, 12, 16)
BLOCK_BITS = {"ice40": 16, "ecp5": 18, "xilinx7": 18, "gowin": 18}  # of a multiplier's operand


class OnBoard:
    """Fewest LUTs are best. workload: on an accelerator, which is to run at clock_mhz."""

    best = "luts"

    def __init__(
        self, wish: Wish, workload: Workload, board: Board, clock_mhz: float, laboratory: Laboratory
    ) -> None:
        if not clock_mhz > 0:
            raise ValueError(f"clock_mhz must be positive, not {clock_mhz}")
        self.wish, self.workload, self.board, self.clock_mhz = wish, workload, board, clock_mhz
        self.effort = Effort(target=board.target, ultraplus=board.ultraplus)
        self._laboratory = laboratory
        known = samples(laboratory)
        self._arrays = CostModel(known)
        self._around = AroundModel(known, self._arrays)
        self.knows_around = any(
            group[1] == self.effort.accelerator_place for group in self._around.fits
        )

    @property
    def limits(self) -> dict[str, float]:
        return self._shares(ROOM if self.knows_around else ARRAY_ROOM)

    @property
    def built_limits(self) -> dict[str, float]:
        return self._shares(ROOM)

    def _shares(self, room: float) -> dict[str, float]:
        shares = {name: room * getattr(self.board, name) for name in ("luts", "flip_flops")}
        return self.board.resources | shares

    @property
    def scope(self) -> str:
        if self.knows_around:
            return "of accelerators with their serial link"
        return (
            "of arrays alone, for what stands around one was not measured on "
            f"{self.effort.target}; what is built is the whole accelerator"
        )

    @property
    def place(self) -> str:
        return self.board.name

    def designs(self) -> list[Design]:
        kinds = {layer.spec.kind for layer in self.wish.model.layers}
        pe = "complement" if "adder" in kinds else "mac" if "mac" in kinds else "xnor"
        fixed = self.workload.defaults | self.effort.defaults
        fixed |= {"pe": pe, "width": 1 if pe == "xnor" else self.wish.width}
        depth = depth_of(self.wish.model, Design.of(fixed | {"lanes": 2}).array)
        space = Space(
            rows=SIDES,
            cols=SIDES,
            lanes=LANES,
            multiplier=[None, "dsp"] if self.board.dsps else None,
            constraints=["rows * lanes % cols == 0"],
        )
        return space.designs(**fixed | {"depth": depth})

    def guesses(self, designs: Iterable[Design]) -> list[Option]:
        """Of sizes, as far as there is a model. ValueError when there is none."""
        designs = list(designs)
        if self.knows_around:
            found = self._around.guess(designs, self.effort)
        else:
            found = self._arrays.guess(list(map(bare, designs)), self.effort.place)
        options = []
        for design, (figures, errors) in zip(designs, found, strict=True):
            if {"luts", "flip_flops"} <= set(figures):
                names = ("luts", "flip_flops")
                used = {name: round(figures[name]) for name in names}
                used["dsps"] = self._dsps(design)
                stated = {name: errors[name] for name in names}
                options.append(Option(design=design, used=used, errors=stated))
        if not options:
            raise ValueError(
                f"there are too few measurements to guess the size of arrays on "
                f"{self.effort.target}; measure some with 'python -m adderforge.exploration."
                f"calibrate STORE {self.effort.target}', and give --store STORE"
            )
        return options

    def _dsps(self, design: Design) -> int:
        """Of the requantizer, a product of a sum and a multiplier for each column, and of MACs."""
        array, model = design.array, self.wish.model
        multiplies = self.board.dsps and model.requantize == "multiply"
        each = -(-array.acc_width // BLOCK_BITS[self.effort.target])
        of_macs = array.rows * array.cols * array.lanes if design.multiplier == "dsp" else 0
        return (array.cols * each if multiplies else 0) + of_macs

    def complete(self, option: Option) -> Option | None:
        """With the rate and the block RAMs, both counted; None when it does not run the network."""
        try:
            figures = self.workload.figures(option.design, self.effort)
        except ValueError:
            return None
        rate = self.clock_mhz * 1e6 / figures["cycles"]
        used = option.used | {"block_rams": figures["block_rams"]}
        return replace(option, images_per_second=rate, used=used)

    def build(self, option: Option, progress) -> Option:
        """With what synthesis gives."""
        design, effort = option.design, self.effort
        task = Task(level=SYNTHESIS, design=design, workload=self.workload, effort=effort)
        (found,) = self._laboratory.measure([task], progress)
        if found.reason:
            return replace(option, failure=found.reason)
        built = {name: found.figures[name] for name in self.limits}
        return replace(option, built=built | {"images_per_second": option.images_per_second})
