"""Measures small arrays of many kinds, and writes what the shipped cost model is fitted to.

python -m adderforge.exploration.calibrate STORE TARGET[:KIND] …    measures what the store lacks,
                                                                    and writes what it holds

For each PE and dataflow of each target single PEs and a drawn sample of arrays are synthesized; for
"asic" their longest paths are found as well. KIND is a PE, all of them if it is left out, or
"accelerator": whole accelerators for the network in `fixtures`, on iCE40 those of the UP5K, with
their energy. What was written before of other targets and kinds stays as it was.
"""

import json
import random
import sys
from pathlib import Path

from hw.choices import BUILT_IN_LIBRARY

from .around import AS_NEEDED
from .calibration import SHIPPED, current, shipped, to_ship
from .cost_model import Sample
from .design import Design
from .effort import CLOCK, ENERGY, SYNTHESIS, Effort
from .executors import processes
from .measuring import Laboratory
from .space import Space
from .store import Store
from .task import Task
from .workloads import Workload, network, of_model

HERE = Path(__file__).with_name(SHIPPED)
SAMPLE = 12  # arrays of each PE and dataflow
KINDS = (
    ("complement", "output-stationary"),
    ("mac", "output-stationary"),
    ("min", "output-stationary"),
    ("complement", "weight-stationary"),
    ("mac", "weight-stationary"),
    ("min", "weight-stationary"),
    ("xnor", "weight-stationary"),
)
DSP = (("mac", "output-stationary", "dsp"),)  # on FPGAs
ACCELERATOR = "accelerator"
NETWORK = BUILT_IN_LIBRARY.with_name("lenet5-bn-digits-adder.npz")
AROUND = (  # rows, cols, lanes
    *((1, 1, 1), (1, 2, 4), (2, 2, 2), (4, 2, 2), (1, 4, 4), (4, 4, 4)),
    *((1, 2, 8), (4, 4, 1), (2, 4, 2), (4, 2, 4)),
)
SIZES = (1, 2, 4, 8)
SINGLE = {"width": (4, 8, 16), "lanes": (1, 4)}  # of PEs by themselves


def designs(effort: Effort) -> list[Design]:
    """The sample, whose largest arrays have 128 products a cycle, and single PEs."""
    drawn = []
    kinds = [(*kind, None) for kind in KINDS] + [*DSP] * (effort.target != "asic")
    for pe, dataflow, multiplier in kinds:
        widths = (1,) if pe == "xnor" else (4, 6, 8, 10, 12, 16)
        space = Space(
            pe=pe,
            dataflow=dataflow,
            multiplier=multiplier,
            width=widths,
            rows=SIZES,
            cols=SIZES,
            lanes=SIZES,
            depth=(64, 576),
            positions=16,
            constraints=["rows * cols * lanes <= 128", "rows * cols * lanes * width <= 1024"],
        )
        drawn += random.Random(pe + dataflow).sample(space.designs(**effort.defaults), SAMPLE)
        fixed = {"rows": 1, "cols": 1, "depth": 576, "positions": 16, "multiplier": multiplier}
        alone = SINGLE | {"width": 1} if pe == "xnor" else SINGLE
        single = Space(pe=pe, dataflow=dataflow, **fixed, **alone)
        drawn += single.designs(**effort.defaults)
    return list(dict.fromkeys(drawn))


def accelerators(effort: Effort) -> tuple[list[Design], Workload]:
    """Small ones, and the network that they run."""
    workload = of_model(NETWORK, accelerator=True)
    fixed = workload.defaults | effort.defaults
    sizes = (dict(zip(("rows", "cols", "lanes"), size, strict=True)) for size in AROUND)
    return [Design.of(fixed | size) for size in sizes], workload


def tasks(target: str, kind: str) -> list[Task]:
    """kind: a PE, all of them if empty, or ACCELERATOR."""
    effort = Effort(target=target, ultraplus=(target, kind) == ("ice40", ACCELERATOR))
    if kind == ACCELERATOR:
        chosen, workload = accelerators(effort)
    else:
        chosen = [design for design in designs(effort) if kind in ("", design.array.pe)]
        workload = network("resnet20")
    random.Random(target).shuffle(chosen)  # so that an interrupted run has some of each kind
    return [
        Task(level=level, design=design, workload=workload, effort=effort)
        for level in _levels(effort)
        for design in chosen
    ]


def _levels(effort: Effort) -> tuple[int, ...]:
    if effort.target == "asic":
        return SYNTHESIS, CLOCK
    return (SYNTHESIS, ENERGY) if effort.ultraplus else (SYNTHESIS,)


def main(folder: str, asked: list[str]) -> None:
    store = Store(folder)
    for target, _, kind in (name.partition(":") for name in asked):
        with processes(1) as pool:
            Laboratory(pool, store).measure(tasks(target, kind), _say)
    write(store)


def write(store: Store, path: Path = HERE) -> None:
    """What the store holds of a place and PE takes the place of what was written before, but for
    accelerators that are not as `accelerators` has them."""
    some = (sample for measurement in store for sample in current(measurement))
    found = [sample for sample in some if sample.design.around == AS_NEEDED]
    renewed = {_kind(sample) for sample in found}
    kept = [sample for sample in shipped() if _kind(sample) not in renewed]
    text = json.dumps(to_ship([*kept, *found])).replace('{"design"', '\n{"design"')
    path.write_text(text + "\n", encoding="utf-8")


def _kind(sample: Sample) -> tuple:
    return sample.place, sample.design.array.pe, sample.accelerator


def _say(task: Task, measurement: object) -> None:
    print(task.level, task.effort.target, task.design.options, measurement, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
