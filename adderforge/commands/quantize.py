"""adderforge quantize"""

from pathlib import Path

import click

from ..options import ARRAY_OPTIONS, FILE, as_json, show


@click.command()
@click.argument("checkpoint", type=FILE)
@click.option("--width", default=8, show_default=True, help=ARRAY_OPTIONS["width"])
@click.option("--data-dir", help="folder of the data set; default $ADDERFORGE_DATA")
@click.option("--vectors", default=0, help="also write this many test images, for simulation")
@click.option("--out", type=FILE, required=True, help="folder for <network>-<data>-<kind>.npz")
@as_json
def quantize(
    checkpoint: Path, width: int, data_dir: str | None, vectors: int, out: Path, as_json: bool
) -> None:
    """Quantize a trained network and run the integer reference on every test image.

    \b
    Example:  adderforge quantize build/float/adder.pt --width 8 --out build/integer
    """
    from rich.console import Console

    from golden import checkpoint as checkpoints
    from golden import data as datasets
    from golden.spec import save_arrays

    from ..progress import Stages
    from ..stages import quantize_network

    trained = checkpoints.load(checkpoint)
    dataset = datasets.load(trained.config.data, data_dir or trained.config.data_dir)
    out.mkdir(parents=True, exist_ok=True)
    stage = f"quantize {trained.config.kind}"
    with Stages(1, Console(stderr=True)).stage(stage) as update:
        model, accuracy = quantize_network(trained, dataset, width, out, update)
    if vectors:
        arrays = {
            "images": dataset.test_images[:vectors],
            "labels": dataset.test_labels[:vectors],
        }
        save_arrays(arrays, out / f"{dataset.name}-vectors.npz")
    figures = {
        "model": str(out / f"{model.name}.npz"),
        "float_accuracy": accuracy.float_correct / accuracy.images,
        "integer_accuracy": accuracy.integer_correct / accuracy.images,
    }
    text = "test accuracy {float_accuracy:.2%} float, {integer_accuracy:.2%} integer\n{model}"
    show(figures, as_json, text.format(**figures))
