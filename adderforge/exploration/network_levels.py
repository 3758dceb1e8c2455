"""What is measured with a network: energy on its activations, and accuracy of its integers."""

from .design import Design
from .effort import Effort
from .models import dataset
from .workloads import Workload

BATCH = 200  # images classified at a time


def accuracy(design: Design, workload: Workload, test_images: int | None) -> dict[str, float]:
    """The share of test images that the integers classify right, and how many there were."""
    import numpy as np

    from golden import fast

    model = workload.model(design)
    known = dataset(workload.data_set, workload.data_dir, model.classes)
    images, labels = known.test_images[:test_images], known.test_labels[:test_images]
    right = 0
    for start in range(0, len(images), BATCH):
        batch = slice(start, start + BATCH)
        right += int(np.sum(fast.classify(model, images[batch]) == labels[batch]))
    return {"accuracy": right / len(images), "test_images": len(images)}


def energy(
    design: Design, workload: Workload, effort: Effort, multiplier: str
) -> dict[str, float | None]:
    """Of an operation, with gate delays, on the activations of effort.images · effort.batches test
    images; a sum that differs from the integer reference is an error. ValueError for
    weight-stationary arrays whose memory is too large to be simulated as flip-flops."""
    from golden import reference
    from hw.delays import Surroundings
    from sim import events
    from sim.gate_run import CLOCK_MHZ, check_memory
    from sim.workload import KINDS, check_layer, for_array, matrix_forms

    from ..energy_run import map_array, run_energy, summarize

    config, model = design.array, workload.model(design)
    check_memory(config)
    specs = [layer.spec for layer in model.layers if layer.spec.kind == KINDS[config.pe]]
    for spec in specs:
        check_layer(spec, model.name, config)
    names = {spec.name for spec in specs}
    images = dataset(workload.data_set, workload.data_dir, model.classes).test_images
    batches = []
    for start in range(0, effort.images * effort.batches, effort.images):
        codes = reference.encode(model, images[start : start + effort.images])
        forms = [form for form in matrix_forms(model, codes) if form.name in names]
        batches.append(list(for_array(forms, config)))
    events.prepare()
    mapped = map_array(config, effort.liberty, multiplier, Surroundings())
    options = {"cycles": effort.cycles, "clock_mhz": CLOCK_MHZ, "activity": "gate-delay"}
    runs = run_energy(mapped, batches, update=lambda *_: None, **options)
    run = summarize(mapped, runs, batches, effort.images, CLOCK_MHZ, None)
    if run.mismatches:
        raise ValueError(f"{run.mismatches} of {run.compared} sums of the netlist are wrong")
    return {
        "pj_per_op": run.energy.pj_per_op,
        "glitch_share": run.energy.glitch_share,
        "pj_standard_error": run.standard_error,
    }
