"""Accelerators for a board: what they take of its FPGA, and how fast they are at its clock."""

from collections.abc import Iterable
from dataclasses import replace

from hw.arithmetic import PAIRS
from hw.choices import accelerator_structure
from hw.up5k import base_mw

from .accelerators import depth_of
from .around_model import PJ_PER_CYCLE, AroundModel, bare
from .boards import Board
from .calibration import samples
from .cost_model import CostModel
from .design import Design
from .effort import ENERGY, SYNTHESIS, Effort
from .measuring import Laboratory
from .promise import Option, Wish, check_positive
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
        check_positive(clock_mhz=clock_mhz)
        self.wish, self.workload, self.board, self.clock_mhz = wish, workload, board, clock_mhz
        self.effort = Effort(target=board.target, ultraplus=board.ultraplus)
        self._laboratory = laboratory
        known = samples(laboratory)
        self._arrays = CostModel(known)
        self._around = AroundModel(known, self._arrays)
        self.knows_around = self._around.knows(self.effort, wish.model.requantize)

    @property
    def limits(self) -> dict[str, float]:
        return self._limits(ROOM if self.knows_around else ARRAY_ROOM)

    @property
    def built_limits(self) -> dict[str, float]:
        return self._limits(ROOM)

    def _limits(self, room: float) -> dict[str, float]:
        limits = self.board.resources
        limits |= {name: room * limits[name] for name in ("luts", "flip_flops")}
        most = self.wish.microjoules
        return limits if most is None else limits | {"microjoules": most}

    @property
    def scope(self) -> str:
        if self.knows_around:
            return "of accelerators with their serial link"
        return (
            "of arrays alone, for what stands around one was not measured on "
            f"{self.effort.target} with requantizer {self.wish.model.requantize!r}; what is built "
            "is the whole accelerator"
        )

    @property
    def place(self) -> str:
        return self.board.name

    def designs(self) -> list[Design]:
        kinds = {layer.spec.kind for layer in self.wish.model.layers}
        pe = "complement" if "adder" in kinds else "mac" if "mac" in kinds else "xnor"
        if self.wish.microjoules and pe == "mac":
            raise ValueError(
                "energy on a board is known of adder networks, and of binary ones without ordinary "
                "layers: products are made of multiplier blocks, which are not simulated; leave "
                "out the board or the energy"
            )
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
            found = self._guess_around(designs)
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

    def _guess_around(self, designs: list[Design]) -> list[tuple[dict, dict]]:
        requantize = self.wish.model.requantize
        return self._around.guess([one.requantized(requantize) for one in designs], self.effort)

    def _dsps(self, design: Design) -> int:
        """Of the requantizer, a product of a sum and a multiplier for each column, and of MACs."""
        array, model = design.array, self.wish.model
        multiplies = self.board.dsps and model.requantize == "multiply"
        each = -(-array.acc_width // BLOCK_BITS[self.effort.target])
        in_pairs = accelerator_structure(array, self.effort.target) == PAIRS
        products = -(-array.lanes // 2) if in_pairs else array.lanes
        of_macs = array.rows * array.cols * products if design.multiplier == "dsp" else 0
        return (array.cols * each if multiplies else 0) + of_macs

    def complete(self, option: Option) -> Option | None:
        """With the rate and the block RAMs, both counted, and the energy, if that is wished; None
        when it does not run the network."""
        try:
            figures = self.workload.figures(option.design, self.effort)
        except ValueError:
            return None
        rate = self.clock_mhz * 1e6 / figures["cycles"]
        used = option.used | {"block_rams": figures["block_rams"]}
        whole = replace(option, images_per_second=rate, used=used)
        return self._with_energy(whole, rate) if self.wish.microjoules else whole

    def _with_energy(self, option: Option, rate: float) -> Option:
        """As it is where there is no guess."""
        ((figures, errors),) = self._guess_around([option.design])
        if PJ_PER_CYCLE not in figures:
            return option
        total, rest = (self._microjoules(pj, rate) for pj in (figures[PJ_PER_CYCLE], 0.0))
        stated = option.errors | {"microjoules": errors[PJ_PER_CYCLE] * (1 - rest / total)}
        return replace(option, used=option.used | {"microjoules": total}, errors=stated)

    def build(self, option: Option, progress) -> Option:
        """With what synthesis gives, and the energy by simulation, if that is wished."""
        design, effort = option.design, self.effort
        figures: dict[str, float] = {}
        for level in (SYNTHESIS, ENERGY) if self.wish.microjoules else (SYNTHESIS,):
            task = Task(level=level, design=design, workload=self.workload, effort=effort)
            (found,) = self._laboratory.measure([task], progress)
            if found.reason:
                return replace(option, failure=found.reason)
            figures |= found.figures
        rate = option.images_per_second
        built = {name: figures[name] for name in self.board.resources}
        if self.wish.microjoules:
            built["microjoules"] = self._microjoules(figures[PJ_PER_CYCLE], rate)
        return replace(option, built=built | {"images_per_second": rate})

    def _microjoules(self, pj_per_cycle: float, rate: float) -> float:
        """Of an image: the design's, and what the FPGA draws meanwhile."""
        base = base_mw(self.clock_mhz, pll=self.clock_mhz != self.board.clock_mhz)
        return pj_per_cycle * self.clock_mhz / rate + base * 1e3 / rate
