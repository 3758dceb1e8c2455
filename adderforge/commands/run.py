"""adderforge run"""

import time
from pathlib import Path

import click

from ..options import FILE, accelerator_config, accelerator_options, as_json, show, with_data


@click.command()
@accelerator_options
@click.option("--port", required=True, help="the board's serial port, such as /dev/ttyUSB1")
@click.option("--baud", default=1_000_000, show_default=True, help="as the board was built for")
@click.option("--images", default=10, show_default=True, help="how many test images")
@click.option("--vectors", type=FILE, help="images from a file, in place of --data")
@with_data
@as_json
def run(
    model: Path,
    port: str,
    baud: int,
    images: int,
    vectors: Path | None,
    data: str | None,
    data_dir: str | None,
    as_json: bool,
    **options: object,
) -> None:
    """Classify images on a board, beside the integer reference.

    Model and configuration must be those that `adderforge build` had; the board is asked what it
    runs. Lost and damaged bytes are noticed, and sent again. Exit code 1 when a class differs.
    Needs the extra `board`.

    \b
    Example:  adderforge run --port /dev/ttyUSB1 --model fixtures/lenet5-bn-digits-adder.npz \\
                  --rows 4 --cols 4 --lanes 4 --depth 400 \\
                  --vectors fixtures/digits-vectors.npz --images 4
    """
    from rich.console import Console

    from golden import model_file, reference

    from ..board import Board
    from ..pictures import images_from
    from ..progress import Stages

    network = model_file.load(model)
    config = accelerator_config(options, network)
    pictures = images_from(network, vectors, data, data_dir, images)
    wanted = reference.classify(network, pictures)
    with (
        Board(port, network, config, baud=baud) as board,
        Stages(1, Console(stderr=True)).stage(f"{len(pictures)} images") as update,
    ):
        started = time.monotonic()
        answers = board.classify(pictures, lambda done, count: update("images", done, count))
        seconds = time.monotonic() - started
    classes = [answer.image_class for answer in answers]
    figures = {
        "images": len(classes),
        "wrong_classes": sum(a != int(b) for a, b in zip(classes, wanted, strict=True)),
        "retries": board.retries,
        "cycles": max(answer.cycles for answer in answers),
        "images_per_second": round(len(classes) / seconds, 2),
        "classes": classes,
    }
    text = (
        "{images} images, {wrong_classes} classes differ from the reference; {retries} questions "
        "asked again; {cycles:,} cycles an image, {images_per_second} images a second"
    )
    show(figures, as_json, text.format(**figures))
    if figures["wrong_classes"]:
        raise SystemExit(1)
