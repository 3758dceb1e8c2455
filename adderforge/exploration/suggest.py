"""Which array runs a network on a board fast enough: the best few, what binds them, what a step
more of each parameter would buy, and, once built, whether the promise holds.

Counted are the array, and memory for all weights and for the largest layer's maps in and out. The
logic around an array (sequencer, requantizer, host link) is not, and gets what FILL leaves free.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

from golden.spec import QuantizedModel

from .boards import Board
from .calibration import samples
from .cost_model import CostModel
from .design import Design
from .effort import CLOCK, SYNTHESIS, Effort
from .measuring import Laboratory
from .space import Space
from .store import Measurement
from .task import Task
from .workloads import Workload, model_layers

FILL = 0.7  # of LUTs and flip-flops that the array may take
SIDES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)
LANES = (1, 2, 3, 4, 6, 8, 12, 16)
POSITIONS = 16
STEPS = {"rows": SIDES, "cols": SIDES, "lanes": LANES}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """A network on a board: at least so many images a second, at that clock."""

    model: QuantizedModel
    board: Board
    images_per_second: float
    clock_mhz: float

    def __post_init__(self) -> None:
        for name in ("images_per_second", "clock_mhz"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")

    @cached_property
    def workload(self) -> Workload:
        return Workload(name=self.model.name, layers=model_layers(self.model))

    @property
    def pes(self) -> tuple[str, ...]:
        """Kinds of PEs that run the network."""
        kinds = {layer.spec.kind for layer in self.model.layers}
        if len(kinds) > 1 or kinds == {"xnor"}:
            raise ValueError(
                f"{self.model.name} must have layers of one kind, adder or mac, not "
                f"{' and '.join(sorted(kinds))}"
            )
        return ("mac",) if kinds == {"mac"} else ("complement", "min")

    @property
    def width(self) -> int:
        return max(layer.spec.width for layer in self.model.layers)

    @property
    def memory_kbits(self) -> float:
        """Of all weights, and of the largest layer's input and output maps."""
        weights = sum(layer.weight.size * layer.spec.width for layer in self.model.layers)
        maps = max(
            math.prod(layer.spec.in_shape) * layer.spec.in_width
            + math.prod(layer.spec.out_shape) * layer.spec.out_width
            for layer in self.model.layers
        )
        return (weights + maps) / 1000

    def rate(self, design: Design) -> float:
        """Images a second at the wished clock; exact."""
        return self.clock_mhz * 1e6 / self.workload.cycles(design.array)


def words(resource: str) -> str:
    return {"luts": "LUTs", "memory_kbits": "kbits of memory", "dsps": "DSPs"}.get(
        resource, resource.replace("_", "-")
    )


def limits(board: Board) -> dict[str, float]:
    """What an array may take of each resource."""
    return board.resources | {name: FILL * getattr(board, name) for name in ("luts", "flip_flops")}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step more of a parameter: images a second and resources that it leads to."""

    parameter: str
    value: int
    images_per_second: float
    used: dict[str, float]
    fits: bool


@dataclass(frozen=True, kw_only=True)
class Option:
    """A design with its promise: used: resources, guessed with these relative errors. built: the
    same after synthesis, where it was; fmax_mhz: routed, where it was."""

    design: Design
    images_per_second: float
    used: dict[str, float]
    errors: dict[str, float]
    steps: tuple[Step, ...] = ()
    built: dict[str, float] | None = None
    failure: str | None = None
    fmax_mhz: float | None = None

    def shares(self, board: Board) -> dict[str, float]:
        """Of what an array may take of each resource; where that is none, all or nothing."""
        used, most = self.built or self.used, limits(board)
        return {
            name: used[name] / most[name] if most[name] else float(used[name] > 0) for name in most
        }

    def binding(self, board: Board) -> str:
        """The resource of which the largest share is used."""
        shares = self.shares(board)
        return max(shares, key=shares.__getitem__)


class Adviser:
    """Answers wishes for a board's kind of FPGA, by the cost model and what the store knows."""

    def __init__(self, wish: Wish, laboratory: Laboratory) -> None:
        self.wish = wish
        self.effort = Effort(target=wish.board.target)
        self._laboratory = laboratory
        self.model = CostModel(samples(self._laboratory))

    def options(self, count: int = 3) -> list[Option]:
        """The `count` designs that are fast enough with the fewest LUTs, by guesses. ValueError
        when none is, with the fastest that fits, and what binds it."""
        options = self._promises(self._designs())
        fitting = [option for option in options if self._fits(option.used)]
        fast = [o for o in fitting if o.images_per_second >= self.wish.images_per_second]
        if not fast:
            raise ValueError(self._why_none(options, fitting))
        best = sorted(fast, key=lambda o: (o.used["luts"], -o.images_per_second))[:count]
        return [replace(option, steps=tuple(self._steps(option))) for option in best]

    def build(
        self,
        option: Option,
        route: bool = False,
        progress: Callable[[Task, Measurement], None] = lambda task, measurement: None,
    ) -> Option:
        """The option with what synthesis, and place and route, give."""
        found = self._measure(option.design, SYNTHESIS, progress)
        if found.reason:
            return replace(option, failure=found.reason)
        built = self._with_memory(option.design, found.figures)
        if not route:
            return replace(option, built=built)
        self.effort.check(CLOCK)
        clock = self._measure(option.design, CLOCK, progress)
        if clock.reason:
            return replace(option, built=built, failure=clock.reason)
        return replace(option, built=built, fmax_mhz=clock.figures["fmax_mhz"])

    def _measure(self, design: Design, level: int, progress: Callable) -> Measurement:
        task = Task(level=level, design=design, workload=self.wish.workload, effort=self.effort)
        return self._laboratory.measure([task], progress)[0]

    def _designs(self) -> list[Design]:
        wish = self.wish
        space = Space(
            pe=wish.pes,
            width=wish.width,
            rows=SIDES,
            cols=SIDES,
            lanes=LANES,
            dataflow=["output-stationary", "weight-stationary"],
            positions=POSITIONS,
            depth=wish.workload.depth,
            multiplier=[None, "dsp"] if wish.board.dsps else None,
        )
        return space.designs(**self.effort.defaults)

    def _promises(self, designs: Iterable[Design]) -> list[Option]:
        designs = list(designs)
        options = []
        for design, (figures, errors) in zip(
            designs, self.model.guess(designs, self.effort.place), strict=True
        ):
            if {"luts", "flip_flops"} <= set(figures):
                options.append(
                    Option(
                        design=design,
                        images_per_second=self.wish.rate(design),
                        used=self._with_memory(design, figures),
                        errors={n: errors[n] for n in ("luts", "flip_flops")},
                    )
                )
        if not options:
            raise ValueError(
                f"there are too few measurements to guess the size of {', '.join(self.wish.pes)} "
                f"PEs on {self.effort.target}; measure some with 'python -m adderforge.exploration."
                f"calibrate STORE {self.effort.target}', and give --store STORE"
            )
        return options

    def _with_memory(self, design: Design, figures: dict) -> dict[str, float]:
        products = design.array.rows * design.array.cols * design.array.lanes
        dsps = products if design.multiplier == "dsp" else 0
        memory = self.wish.memory_kbits
        return {
            "luts": round(figures["luts"]),
            "flip_flops": round(figures["flip_flops"]),
            "memory_kbits": round(memory, 1),
            "dsps": figures.get("dsps", dsps),
        }

    def _fits(self, used: dict[str, float]) -> bool:
        return all(used[name] <= most for name, most in limits(self.wish.board).items())

    def _steps(self, option: Option) -> Iterable[Step]:
        values = option.design.values
        for name, sizes in STEPS.items():
            larger = [size for size in sizes if size > values[name]]
            if larger:
                design = Design.of(values | {name: larger[0]})
                for more in self._promises([design]):
                    yield Step(
                        parameter=name,
                        value=larger[0],
                        images_per_second=more.images_per_second,
                        used=more.used,
                        fits=self._fits(more.used),
                    )

    def _why_none(self, options: list[Option], fitting: list[Option]) -> str:
        wish, board = self.wish, self.wish.board
        wanted = f"{wish.images_per_second:,.0f} images a second"
        if wish.memory_kbits > board.memory_kbits:
            return (
                f"{wish.model.name} needs {wish.memory_kbits:,.0f} kbit for weights and maps, but "
                f"{board.name} has {board.memory_kbits:,}: memory binds; take a larger board or "
                "fewer bits"
            )
        if not fitting:
            least = min(options, key=lambda option: option.used["luts"])
            return (
                f"not even the smallest array, of {least.used['luts']:,} LUTs, fits {FILL:.0%} of "
                f"{board.name}; take a larger board or fewer bits"
            )
        fastest = max(fitting, key=lambda option: option.images_per_second)
        return (
            f"no array that fits {board.name} gives {wanted} at {wish.clock_mhz:g} MHz: the "
            f"fastest ({fastest.design.options}) gives {fastest.images_per_second:,.0f}, and "
            f"{words(fastest.binding(board))} bind it; raise --clock-mhz or take a larger board"
        )
