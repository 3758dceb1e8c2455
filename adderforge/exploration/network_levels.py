"""What is measured with a network: energy on its activations, and accuracy of its integers."""

from pathlib import Path

from golden.spec import QuantizedModel
from hw.config import ArrayConfig

from .effort import Effort
from .workloads import Workload

CALIBRATION_IMAGES = 512
BATCH = 200  # images classified at a time


def model_of(workload: Workload, config: ArrayConfig) -> QuantizedModel:
    """The workload's network of the PE's kind, quantized to the design's width; a quantized model
    as it is. ValueError when that is wider than the design."""
    from golden import model_file

    path = workload.model_for(config)
    if path.suffix == ".npz":
        model = model_file.load(path)
        widest = max(layer.spec.width for layer in model.layers)
        if widest > config.width:
            raise ValueError(
                f"{path}: has {widest} bits, more than the design's {config.width}; give the "
                "network's checkpoint (.pt), which is quantized to any width"
            )
        return model
    return _quantized(path, config.width, workload)


def _quantized(path: Path, width: int, workload: Workload) -> QuantizedModel:
    from golden import checkpoint, data
    from golden.quantize import quantize

    trained = checkpoint.load(path)
    images = data.load(workload.data, workload.data_dir).train_images[:CALIBRATION_IMAGES]
    return quantize(trained.network, images, width, name=f"{trained.config.model}-{width}")


def accuracy(config: ArrayConfig, workload: Workload, test_images: int | None) -> dict[str, float]:
    """The share of test images that the integers classify right, and how many there were."""
    import numpy as np

    from golden import data, fast

    model, dataset = model_of(workload, config), data.load(workload.data, workload.data_dir)
    images, labels = dataset.test_images[:test_images], dataset.test_labels[:test_images]
    right = 0
    for start in range(0, len(images), BATCH):
        batch = slice(start, start + BATCH)
        right += int(np.sum(fast.classify(model, images[batch]) == labels[batch]))
    return {"accuracy": right / len(images), "test_images": len(images)}


def energy(
    config: ArrayConfig, workload: Workload, effort: Effort, multiplier: str
) -> dict[str, float | None]:
    """Of an operation, with gate delays, on the activations of effort.images · effort.batches test
    images; a sum that differs from the integer reference is an error. ValueError for
    weight-stationary arrays whose memory is too large to be simulated as flip-flops."""
    from golden import data, reference
    from hw.delays import Surroundings
    from sim import events
    from sim.gate_run import CLOCK_MHZ, check_memory
    from sim.workload import KINDS, check_layer, for_array, matrix_forms

    from ..energy_run import map_array, run_energy, summarize

    check_memory(config)
    model = model_of(workload, config)
    specs = [layer.spec for layer in model.layers if layer.spec.kind == KINDS[config.pe]]
    for spec in specs:
        check_layer(spec, model.name, config)
    names = {spec.name for spec in specs}
    images = data.load(workload.data, workload.data_dir).test_images
    batches = []
    for start in range(0, effort.images * effort.batches, effort.images):
        codes = reference.encode(model, images[start : start + effort.images])
        forms = [form for form in matrix_forms(model, codes) if form.name in names]
        batches.append(list(for_array(forms, config)))
    events.prepare()
    design = map_array(config, effort.liberty, multiplier, Surroundings())
    options = {"cycles": effort.cycles, "clock_mhz": CLOCK_MHZ, "activity": "gate-delay"}
    runs = run_energy(design, batches, update=lambda *_: None, **options)
    run = summarize(design, runs, batches, effort.images, CLOCK_MHZ, None)
    if run.mismatches:
        raise ValueError(f"{run.mismatches} of {run.compared} sums of the netlist are wrong")
    return {
        "pj_per_op": run.energy.pj_per_op,
        "glitch_share": run.energy.glitch_share,
        "pj_standard_error": run.standard_error,
    }
