"""adderforge quantize"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import ARRAY_OPTIONS, FILE, as_json, given, left_out, show

if TYPE_CHECKING:
    from golden.finetune import Tuning
    from golden.recipe import Recipe
    from golden.spec import QuantizedModel
    from golden.train import TrainResult

    from ..stages import Accuracy

LINES_EVERY = 60  # seconds, off a terminal


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
    "--mult-width",
    default=16,
    show_default=True,
    help="bits of the requantizer's multipliers, 4 to 16; fewer make it smaller",
)
@click.option(
    "--calibration-images",
    type=click.IntRange(min=1),
    default=512,
    show_default=True,
    help="training images that set scales and biases",
)
@click.option(
    "--finetune",
    "epochs",
    default=0,
    show_default=True,
    metavar="EPOCHS",
    help="train so many epochs with the integers simulated, before quantizing",
)
@click.option(
    "--finetune-rate",
    "rate",
    type=float,
    help="learning rate of --finetune at its first step; default 0.03",
)
@click.option("--seed", type=int, help="seed of --finetune's batches; default 0")
@click.option("--data-dir", help="folder of the data set; default $ADDERFORGE_DATA")
@click.option(
    "--vectors",
    type=click.IntRange(min=0),
    default=0,
    help="also write this many test images, for simulation",
)
@click.option("--out", type=FILE, required=True, help="folder for <network>-<data>-<kind>.npz")
@as_json
def quantize(
    checkpoint: Path,
    width: int,
    widths: tuple[str, ...],
    groups: int,
    requantize: str,
    mult_width: int,
    calibration_images: int,
    epochs: int,
    rate: float | None,
    seed: int | None,
    data_dir: str | None,
    vectors: int,
    out: Path,
    as_json: bool,
) -> None:
    """Quantize a trained network and classify every test image with the integers.

    Adder networks, CNNs and binary networks take the same path. Prints the accuracy and, for each
    layer, how far its map is from the float network's, and the accumulator's bits that its weights
    prove to be enough; OUT gets that as a table, as JSON and as a picture too.

    \b
    Example:  adderforge quantize build/float/adder.pt --width 8 --out build/integer
              adderforge quantize run/adder.pt --width 4 --layer-width conv1=8 --out run/four
              adderforge quantize run/adder.pt --width 2 --finetune 5 --out run/two
              adderforge quantize run/adder.pt --requantize shift --out run/shift
    """
    from rich.console import Console

    from golden import checkpoint as checkpoints
    from golden import data as datasets
    from golden.archive import save_arrays
    from golden.finetune import Tuning
    from golden.quantize import traced
    from golden.recipe import Recipe

    from ..progress import Stages
    from ..stages import finetune_network, quantize_network

    recipe = Recipe(
        width=width,
        widths=dict(map(_width, widths)),
        groups=groups,
        requantize=requantize,
        mult_width=mult_width,
    )
    if not epochs:
        left_out("where nothing is fine-tuned; add --finetune", finetune_rate=rate, seed=seed)
    tuning = Tuning(epochs=epochs, **given({"rate": rate, "seed": seed}))
    trained = checkpoints.load(checkpoint)
    config = trained.config
    dataset = datasets.load(config.data, data_dir or config.data_dir, config.classes)
    traced(trained.network, recipe)  # nothing is made for a network that cannot be
    out.mkdir(parents=True, exist_ok=True)
    stages = Stages(2 if epochs else 1, Console(stderr=True), every=LINES_EVERY)
    network, kind = trained, config.kind
    if epochs:
        with stages.stage(f"fine-tune {kind}") as update:
            network = finetune_network(
                trained, dataset, recipe, tuning, out, update, calibration_images
            )
    with stages.stage(f"quantize {kind}") as update:
        model, accuracy = quantize_network(
            network, dataset, recipe, out, update, calibration_images, tuning
        )
    if vectors:
        arrays = {
            "images": dataset.test_images[:vectors],
            "labels": dataset.test_labels[:vectors],
        }
        save_arrays(arrays, out / f"{dataset.name}-vectors.npz")
    tuned = (tuning, network) if epochs else None
    figures = _figures(recipe, trained, model, accuracy, out) | _tuned_figures(tuned, out)
    show(figures, as_json, _text(figures, _quality(out, model.name, "md")))


def _figures(
    recipe: "Recipe",
    trained: "TrainResult",
    model: "QuantizedModel",
    accuracy: "Accuracy",
    out: Path,
) -> dict:
    from golden.certificate import certify

    return {
        "model": str(out / f"{model.name}.npz"),
        "recipe": asdict(recipe),
        "float_accuracy": trained.test_accuracy,
        "integer_accuracy": accuracy.integer_correct / accuracy.images,
        "accumulators": [asdict(proof) for proof in certify(model)],
        "layers": json.loads(_quality(out, model.name, "json"))["layers"],
    }


def _tuned_figures(tuned: "tuple[Tuning, TrainResult] | None", out: Path) -> dict:
    if tuned is None:
        return {}
    tuning, network = tuned
    return {
        "tuning": asdict(tuning),
        "finetuned": str(out / f"{network.config.kind}-finetuned.pt"),
        "finetuned_float_accuracy": network.test_accuracy,
    }


def _text(figures: dict, table: str) -> str:
    text = "test accuracy {float_accuracy:.2%} float, {integer_accuracy:.2%} integer"
    if "finetuned" in figures:
        text += "; {finetuned_float_accuracy:.2%} float, fine-tuned\n{finetuned}"
    return f"{table}\n{text.format(**figures)}\n{figures['model']}"


def _quality(folder: Path, name: str, ending: str) -> str:
    return (folder / f"{name}.quality.{ending}").read_text(encoding="utf-8")


def _width(text: str) -> tuple[str, int]:
    name, _, bits = text.rpartition("=")
    if not name or not bits.isdigit():
        raise ValueError(f"--layer-width must be NAME=BITS, such as conv1=8, not {text!r}")
    return name, int(bits)
