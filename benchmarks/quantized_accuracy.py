"""Test accuracy of trained networks as integers: a table of widths, groups and requantizers.

python benchmarks/quantized_accuracy.py CHECKPOINT... [--data-dir DIR]
                                        [--widths 8,6,5,4] [--groups 1,4] [--ends 8] [--json FILE]

--ends: bits of the first and the last layer in every row, for networks that keep those ordinary.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from golden import checkpoint, data, fast
from golden.graph import trace
from golden.quantize import quantize
from golden.recipe import MAX_GROUPS, Recipe

CALIBRATION_IMAGES = 512
SHIFT_WIDTHS = (8, 4)


def recipes(widths: list[int], groups: list[int]) -> dict[str, Recipe]:
    """By title."""
    titled = {}
    for count in groups:
        suffix = "" if count == 1 else f", {count} groups of channels"
        for width in widths:
            titled[f"{width} bits{suffix}"] = Recipe(width=width, groups=count)
        for width in SHIFT_WIDTHS:
            recipe = Recipe(width=width, groups=count, requantize="shift")
            titled[f"{width} bits{suffix}, shift-only"] = recipe
    return titled


def accuracies(
    path: Path, data_dir: str | None, chosen: dict[str, Recipe], ends: int | None
) -> dict[str, float]:
    """Float accuracy and that of every recipe, of one checkpoint."""
    trained = checkpoint.load(path)
    dataset = data.load(trained.config.data, data_dir, trained.config.classes)
    if ends:
        first, *_, last = trace(trained.network, trained.network.in_shape)
        widths = {first.name: ends, last.name: ends}
        chosen = {title: replace(recipe, widths=widths) for title, recipe in chosen.items()}
    calibration = dataset.train_images[:CALIBRATION_IMAGES]
    shares = {"float": trained.test_accuracy}
    for title, recipe in chosen.items():
        model = quantize(trained.network, calibration, recipe=recipe)
        right = fast.classify(model, dataset.test_images) == dataset.test_labels
        shares[title] = float(np.mean(right))
        print(f"{path.name}  {title}: {shares[title]:.2%}", flush=True)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("--data-dir", help="folder of the data set; default $ADDERFORGE_DATA")
    parser.add_argument("--widths", default="8,6,5,4")
    parser.add_argument("--groups", default=f"1,{MAX_GROUPS}")
    parser.add_argument("--ends", type=int, help="bits of the first and the last layer")
    parser.add_argument("--json", type=Path, help="also write the table here")
    options = parser.parse_args()
    widths, groups = (list(map(int, text.split(","))) for text in (options.widths, options.groups))
    chosen = recipes(widths, groups)
    table = {
        str(path): accuracies(path, options.data_dir, chosen, options.ends)
        for path in options.checkpoints
    }
    kinds = [checkpoint.load(path).config.kind for path in options.checkpoints]
    print(f"\n| | {' | '.join(kinds)} |\n| --- |{' --: |' * len(kinds)}")
    for title in ("float", *chosen):
        shares = " | ".join(f"{100 * shares[title]:.2f}" for shares in table.values())
        print(f"| {title} | {shares} |")
    if options.json:
        named = dict(zip(kinds, table.values(), strict=True))
        options.json.write_text(json.dumps(named, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
