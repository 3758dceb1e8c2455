"""The fewest bits that keep a network's accuracy."""

from pathlib import Path

from golden.spec import QuantizedModel

from .design import Design
from .effort import ACCURACY, Effort
from .measuring import Laboratory
from .task import Task
from .workloads import Layer, Workload

WIDTHS = (2, 3, 4, 5, 6, 8, 10, 12, 16)


def narrowest(
    checkpoint: Path,
    least: float,
    laboratory: Laboratory,
    data: str | None = None,
    data_dir: str | None = None,
) -> tuple[Workload, QuantizedModel, float]:
    """The network of a float checkpoint (.pt), also quantized to the fewest bits of WIDTHS that
    keep so large a share of all test images right, and that share. data: the images' set, by
    default that of its training, which has its folder, too. ValueError when none does."""
    from golden import checkpoint as checkpoints

    trained = checkpoints.load(checkpoint)
    kind, pe = trained.config.kind, {"adder": "complement", "cnn": "mac"}.get(trained.config.kind)
    if pe is None or not 0 < least <= 1:
        raise ValueError(
            "min_accuracy must be above 0 and at most 1, of a network of kind adder or cnn, "
            f"not {least} of kind {kind!r}"
        )
    folder = trained.config.data_dir if data in (None, trained.config.data) else None
    workload = Workload(
        name=trained.config.model,
        layers=(Layer(name="any", shape=(1, 1, 1)),),
        models={kind: checkpoint},
        data=data or trained.config.data,
        data_dir=data_dir or folder,
    )
    found = {}
    for width in WIDTHS:
        design = Design.of({"pe": pe, "width": width})
        task = Task(level=ACCURACY, design=design, workload=workload, effort=Effort())
        (measured,) = laboratory.measure([task])
        if measured.reason:
            raise ValueError(f"{checkpoint}: {measured.reason}")
        found[width] = measured.figures["accuracy"]
        if found[width] >= least:
            return workload, workload.model(design), found[width]
    best = max(found, key=found.__getitem__)
    raise ValueError(
        f"{checkpoint} has an accuracy of {found[best]:.2%} at most, with {best} bits, not "
        f"{least:.2%}; ask for less, or train on"
    )
