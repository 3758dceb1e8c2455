"""adderforge count"""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from ..options import as_json, show

if TYPE_CHECKING:
    from golden.count import Operations

UNITS = ((10**9, "G"), (10**6, "M"), (10**3, "K"))
COLUMNS = ("mul", "add", "xnor", "latency_cycles")


@click.command()
@click.argument("model")
@click.option("--kind", default="adder", show_default=True, help="adder, cnn, bnn or l2")
@as_json
def count(model: str, kind: str, as_json: bool) -> None:
    """Count a network's multiplications, additions and XNORs for one image.

    MODEL is lenet5-bn, lenet-plus-plus, vgg-small, resnet20, resnet32, resnet18 or resnet50. "as
    built" counts each layer as what it is; "paper's rule" counts all layers as the network's kind,
    as the paper's tables do. Latency is its model of a VIA Nano: 4 cycles a multiplication, 2 an
    addition.

    \b
    Example:  adderforge count resnet20 --kind adder
    """
    from golden import count as counting

    layers = counting.model_layers(model, kind)
    rows = {
        "as built": _row(counting.operations(layers)),
        "paper's rule": _row(counting.count(model, kind)),
    }
    result = {"model": model, "kind": kind, "as_built": rows["as built"]}
    result |= {"paper_rule": rows["paper's rule"], "published": None}
    paper = counting.published(model, kind)
    if paper is not None:
        figures = asdict(paper.operations) | {"latency_cycles": paper.latency_cycles}
        rows[f"paper, {paper.place}"] = result["published"] = figures
    result["layers"] = [asdict(layer) for layer in layers]
    show(result, as_json, _table(f"{model} {kind}", rows))


def _row(operations: "Operations") -> dict[str, int | None]:
    return asdict(operations) | {"latency_cycles": operations.latency_cycles}


def _table(title: str, rows: dict[str, dict]) -> str:
    names = ("#mul", "#add", "#xnor", "cycles")
    lines = [f"{title:<24}" + "".join(f"{name:>10}" for name in names)]
    for name, row in rows.items():
        lines.append(f"{name:<24}" + "".join(f"{_scaled(row[column]):>10}" for column in COLUMNS))
    return "\n".join(lines)


def _scaled(value: int | None) -> str:
    if value is None:
        return "-"
    for unit, letter in UNITS:
        if value >= unit:
            return f"{value / unit:.2f} {letter}"
    return str(value)
