"""adderforge train"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..options import FILE, as_json, given, show, with_digits

if TYPE_CHECKING:
    from golden.train import TrainConfig, TrainResult

LINES_EVERY = 60  # seconds, off a terminal
RATED = ("adder", "l2")  # kinds whose filters have rates of their own
EFFECTIVE = {"gradient": ("adder",)}
EFFECTIVE |= dict.fromkeys(("init", "schedule", "eta", "filter_decay"), RATED)


@click.command()
@with_digits
@click.option("--classes", type=int, help="imagenet: class folders, if not all 1000 are there")
@click.option("--model", help="lenet5-bn, resnet20, …; default: for the data")
@click.option("--kind", default="adder", show_default=True, help="adder, cnn, bnn or l2")
@click.option("--gradient", help="of adder layers: full (default), sign or derivative")
@click.option("--init", help="of adder and ℓ2 filters: normal (default) or xavier, far smaller")
@click.option("--schedule", help="adder filters' rate: alr (default), ilr or plain")
@click.option("--eta", type=float, help="η of Eq. 13, for alr; default: for the data")
@click.option("--epochs", type=int, help="passes over the training images; default: for the data")
@click.option("--batch-size", type=int, help="images a step; default: for the data")
@click.option("--learning-rate", type=float, help="at the first step; default 0.1")
@click.option("--decay", help="of the learning rate: cosine or poly; default: for the data")
@click.option("--weight-decay", type=float, help="default: for the data")
@click.option("--filter-decay", type=float, help="of adder and ℓ2 filters; default: as others")
@click.option("--seed", type=int, help="seed of weights and batches; default 0")
@click.option("--from-checkpoint", type=FILE, help="start from its weights; ours or the authors'")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda")
@click.option("--resume", is_flag=True, help="go on with the training in --out, if there is one")
@click.option("--out", type=FILE, required=True, help="folder for <kind>.pt, <kind>.csv, curves")
@as_json
def train(
    data: str,
    from_checkpoint: Path | None,
    device: str,
    resume: bool,
    out: Path,
    as_json: bool,
    **options: object,
) -> None:
    """Train a network of the paper, as an adder network or another kind.

    The defaults are the paper's for the data set. With --resume, a training that was broken off
    goes on from its last whole epoch, to the same weights. OUT/tensorboard has curves.

    --from-checkpoint takes the weights of a network with the same layers, of any kind: a <kind>.pt
    of this command, or a state_dict of the AdderNet authors' public code.

    \b
    Example:  adderforge train --kind adder --data digits --out build/float
              adderforge train --data cifar10 --data-dir ~/cifar --out run --resume
              adderforge train --epochs 5 --from-checkpoint build/float/adder.pt --out build/more
              torchrun --nproc-per-node 2 -m adderforge train --data mnist --out run
    """
    from rich.console import Console

    from golden import data as datasets
    from golden.distributed import rank_and_count
    from golden.train import TrainConfig

    from ..progress import Stages
    from ..stages import train_network

    config = TrainConfig.suited_to(data, **given(options))
    _check_effect(config, given(options))
    dataset = datasets.load(config.data, config.data_dir, config.classes)
    first = rank_and_count()[0] == 0
    stages = Stages(1, Console(stderr=True, quiet=not first), every=LINES_EVERY)
    with stages.stage(f"train {config.kind}") as update:
        result = train_network(config, dataset, out, update, device, resume, from_checkpoint)
    if first:
        path = out / f"{config.kind}.pt"
        names = ("test_accuracy", "test_top5", "start")
        figures = {"checkpoint": str(path)} | {name: getattr(result, name) for name in names}
        show(figures, as_json, f"{_accuracy(result)}\n{path}")


def _check_effect(config: "TrainConfig", chosen: dict[str, object]) -> None:
    """ValueError for an option that changes nothing of this training."""
    for name, kinds in EFFECTIVE.items():
        if name in chosen and config.kind not in kinds:
            raise ValueError(
                f"{name} must be left out for kind {config.kind!r}; it is of {' and '.join(kinds)}"
            )
    if "eta" in chosen and config.schedule != "alr":
        raise ValueError(f"eta must be left out for schedule {config.schedule!r}; it is of alr")


def _accuracy(result: "TrainResult") -> str:
    text = f"test accuracy {result.test_accuracy:.2%}"
    return text if result.test_top5 is None else f"{text}, top-5 {result.test_top5:.2%}"
