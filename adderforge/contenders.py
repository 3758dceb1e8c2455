"""Who takes part in a comparison: an adder network's array and its twins, which are the same array
with other PEs, each with a network of its own kind."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from golden import reference
from golden.spec import QuantizedModel
from hw.allocation import fitted
from hw.choices import BUILT_IN_LIBRARY, check
from hw.config import ArrayConfig
from hw.liberty import Liberty, read_library
from hw.program import Program, compile_model
from sim.gate_run import CLOCK_MHZ, check_memory
from sim.workload import KINDS, MatrixForm, check_layer, for_array, matrix_forms

ADDER_PES = ("complement", "min", "two_adder", "compare_swap")
FPGAS = ("ice40", "ecp5")


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A network and the array that runs its layers. layers: that the array runs; others, which a
    BNN keeps ordinary at its ends, take part in the accuracy alone. codes: the images of all
    batches, (images, channels, rows, columns). batches: the layers' matrix forms on each batch.
    program: of a whole accelerator with this array, None where none is compared."""

    model: QuantizedModel
    config: ArrayConfig
    layers: tuple[str, ...]
    codes: np.ndarray
    batches: tuple[tuple[MatrixForm, ...], ...]
    program: Program | None = None


@dataclass(frozen=True, kw_only=True)
class Effort:
    """images: per batch, whose activations the netlists get; batches: repetitions on other images,
    for the spread. cycles: to simulate with gate delays, all batches together, and more where a
    batch would not hold a whole tile; see `adderforge.energy_run`."""

    images: int = 2
    batches: int = 3
    cycles: int = 4000

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, not {value}")


def check_power(liberty: Liberty) -> None:
    """ValueError for a library without energies."""
    library = read_library(liberty)
    if not any(pin.power for cell in library.cells.values() for pin in cell.pins.values()):
        raise ValueError(
            f"library {library.name} must have internal_power tables for a comparison, but has "
            "none; give one with power tables, or take 'adderforge synth' for areas"
        )


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What the arrays are mapped to. liberty: the cell library's files. clock_mhz: that the cells
    are mapped for; None for the least area, and energies at 100 MHz. fpgas: some of FPGAS. seeds:
    placements, to find the clock rate on those that can be routed; 0 for none."""

    liberty: Liberty = BUILT_IN_LIBRARY
    clock_mhz: float | None = None
    fpgas: tuple[str, ...] = FPGAS
    seeds: int = 0

    def __post_init__(self) -> None:
        check(ArrayConfig(), "asic", None, self.liberty, self.clock_mhz)
        check_power(self.liberty)
        if unknown := set(self.fpgas) - set(FPGAS):
            raise ValueError(f"fpgas must be some of {', '.join(FPGAS)}, not {unknown.pop()!r}")
        if self.seeds < 0:
            raise ValueError(f"seeds must be at least 0, not {self.seeds}")

    @property
    def energy_clock_mhz(self) -> float:
        """The clock of leakage and power."""
        return CLOCK_MHZ if self.clock_mhz is None else self.clock_mhz


def contenders(
    config: ArrayConfig,
    models: Sequence[QuantizedModel],
    images: np.ndarray,
    effort: Effort,
    accelerator: bool = False,
) -> list[Contender]:
    """The networks' arrays: of the adder network `config`, of the others its twins. models: the
    adder network, its CNN and perhaps its BNN. accelerator: whole ones as well. ValueError when one
    does not fit its array or its accelerator, before anything is measured."""
    if config.pe not in ADDER_PES:
        raise ValueError(
            f"pe must be one of {', '.join(ADDER_PES)} for a comparison, not {config.pe!r}; its "
            "twins are made of it"
        )
    arrays = (config, config.twin("mac"), config.twin("xnor"))[: len(models)]
    for array in arrays:
        check_memory(array)
    found = [
        _contender(array, model, images, effort)
        for array, model in zip(arrays, models, strict=True)
    ]
    return [replace(one, program=_program(one)) for one in found] if accelerator else found


def _program(one: Contender) -> Program:
    """Of an accelerator with the contender's array, whose weights stay."""
    array = ArrayConfig(**one.config.model_dump() | {"dataflow": "weight-stationary"})
    return compile_model(one.model, fitted(one.model, array))


def _contender(
    config: ArrayConfig, model: QuantizedModel, images: np.ndarray, effort: Effort
) -> Contender:
    specs = [layer.spec for layer in model.layers if layer.spec.kind == KINDS[config.pe]]
    if not specs or config.pe != "xnor":
        specs = [layer.spec for layer in model.layers]
    for spec in specs:
        check_layer(spec, model.name, config)
    names = tuple(spec.name for spec in specs)
    needed = effort.images * effort.batches
    if len(images) < needed:
        raise ValueError(
            f"{effort.batches} batches of {effort.images} images need {needed}, but there are "
            f"{len(images)}; give fewer"
        )
    codes, batches = reference.encode(model, images[:needed]), []
    for start in range(0, needed, effort.images):
        forms = matrix_forms(model, codes[start : start + effort.images])
        batches.append(tuple(for_array([form for form in forms if form.name in names], config)))
    return Contender(model=model, config=config, layers=names, codes=codes, batches=tuple(batches))
