"""adderforge quantize"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import ARRAY_OPTIONS, FILE, as_json, show

if TYPE_CHECKING:
    from golden.certificate import Certificate


@click.command()
@click.argument("checkpoint", type=FILE)
@click.option("--width", default=8, show_default=True, help=ARRAY_OPTIONS["width"])
@click.option(
    "--layer-width", "widths", multiple=True, metavar="NAME=BITS", help="width of one layer"
)
@click.option("--groups", default=1, show_default=True, help="scales that channels share, 1 to 4")
@click.option(
    "--requantize",
    default="multiply",
    show_default=True,
    help="multiply, or shift: multipliers that are sums of two powers of two",
)
@click.option(
    "--calibration-images",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    help="training images that set scales and biases",
)
@click.option("--data-dir", help="folder of the data set; default $ADDERFORGE_DATA")
@click.option("--vectors", default=0, help="also write this many test images, for simulation")
@click.option("--out", type=FILE, required=True, help="folder for <network>-<data>-<kind>.npz")
@as_json
def quantize(
    checkpoint: Path,
    width: int,
    widths: tuple[str, ...],
    groups: int,
    requantize: str,
    calibration_images: int,
    data_dir: str | None,
    vectors: int,
    out: Path,
    as_json: bool,
) -> None:
    """Quantize a trained network and classify every test image with the integers.

    Adder networks, CNNs and binary networks take the same path. Prints the accuracy and, for each
    layer, the accumulator's bits that its weights prove to be enough.

    \b
    Example:  adderforge quantize build/float/adder.pt --width 8 --out build/integer
              adderforge quantize run/adder.pt --width 4 --layer-width conv1=8 --out run/four
              adderforge quantize run/adder.pt --requantize shift --out run/shift
    """
    from dataclasses import asdict

    from rich.console import Console

    from golden import checkpoint as checkpoints
    from golden import data as datasets
    from golden.archive import save_arrays
    from golden.certificate import certify
    from golden.recipe import Recipe

    from ..progress import Stages
    from ..stages import quantize_network

    recipe = Recipe(
        width=width, widths=dict(map(_width, widths)), groups=groups, requantize=requantize
    )
    trained = checkpoints.load(checkpoint)
    dataset = datasets.load(trained.config.data, data_dir or trained.config.data_dir)
    out.mkdir(parents=True, exist_ok=True)
    stage = f"quantize {trained.config.kind}"
    with Stages(1, Console(stderr=True)).stage(stage) as update:
        model, accuracy = quantize_network(
            trained, dataset, recipe, out, update, calibration_images
        )
    if vectors:
        arrays = {
            "images": dataset.test_images[:vectors],
            "labels": dataset.test_labels[:vectors],
        }
        save_arrays(arrays, out / f"{dataset.name}-vectors.npz")
    proofs = certify(model)
    figures = {
        "model": str(out / f"{model.name}.npz"),
        "recipe": asdict(recipe),
        "float_accuracy": accuracy.float_correct / accuracy.images,
        "integer_accuracy": accuracy.integer_correct / accuracy.images,
        "accumulators": [asdict(proof) for proof in proofs],
    }
    text = "test accuracy {float_accuracy:.2%} float, {integer_accuracy:.2%} integer\n{model}"
    show(figures, as_json, f"{_table(proofs)}\n{text.format(**figures)}")


def _width(text: str) -> tuple[str, int]:
    name, _, bits = text.rpartition("=")
    if not name or not bits.isdigit():
        raise ValueError(f"--layer-width must be NAME=BITS, such as conv1=8, not {text!r}")
    return name, int(bits)


def _table(proofs: list["Certificate"]) -> str:
    lines = [f"{'layer':24} {'sums, proven':>24} {'accumulator':>12} {'by shape':>9}"]
    for proof in proofs:
        sums = f"{proof.lowest:,} … {proof.highest:,}"
        lines.append(
            f"{proof.layer:24} {sums:>24} {f'{proof.bits} bits':>12} {proof.by_shape_bits:>9}"
        )
    return "\n".join(lines)
