"""The layer shapes of the paper's networks, as a file: exploring then needs no PyTorch.

python -m adderforge.exploration.networks    writes it anew; a test compares it with the networks
"""

import json
from pathlib import Path

NETWORKS = ("lenet5-bn", "vgg-small", "resnet20", "resnet32", "resnet18", "resnet50")


def adder_layers(name: str) -> dict[str, tuple[int, int, int]]:
    """(m, k, n) for one image of each layer that is made of adders in the adder network."""
    import torch
    from torch import nn

    from golden.kinds import kind_of
    from golden.networks import build

    shapes: dict[str, tuple[int, int, int]] = {}

    def record(layer_name: str, layer: nn.Module, output: torch.Tensor) -> None:
        filters, terms = layer.weight.shape[0], layer.weight[0].numel()
        shapes[layer_name] = (output.numel() // filters, terms, filters)

    with torch.device("meta"):
        network = build(name, "adder")
        for layer_name, layer in network.named_modules():
            if kind_of(layer) == "adder":
                layer.register_forward_hook(
                    lambda layer, _, output, name=layer_name: record(name, layer, output)
                )
        network.eval()(torch.zeros(1, *network.in_shape))
    return shapes


def table() -> dict[str, dict[str, tuple[int, int, int]]]:
    return {name: adder_layers(name) for name in NETWORKS}


if __name__ == "__main__":
    from .workloads import TABLE

    text = json.dumps(table(), indent=1).replace("\n   ", " ").replace("\n  ]", " ]")
    Path(__file__).with_name(TABLE).write_text(text + "\n", encoding="utf-8")
