"""What the paper says: its experiments by name, and its numbers. Plain data, loaded at once."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network of the paper's tables, trained on a data set. place: where in the paper.
    accuracies: of each kind in percent, top-1 and, on ImageNet, top-5. seeds: trainings of each
    kind that we take by default; the paper names no number."""

    place: str
    data: str
    model: str
    accuracies: dict[str, tuple[float, ...]]
    seeds: int = 1

    @property
    def title(self) -> str:
        return f"{DATA[self.data]}, {MODELS[self.model]} ({self.place})"


DATA = {"mnist": "MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet": "ImageNet"}
MODELS = {
    "lenet5-bn": "LeNet-5-BN",
    "vgg-small": "VGG-small",
    "resnet20": "ResNet-20",
    "resnet32": "ResNet-32",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
}
_TABLE_2 = {  # CIFAR-10, CIFAR-100
    "vgg-small": {"adder": (93.72, 72.64), "cnn": (93.80, 72.73), "bnn": (89.80, 65.41)},
    "resnet20": {"adder": (91.84, 67.60), "cnn": (92.25, 68.14), "bnn": (84.87, 54.14)},
    "resnet32": {"adder": (93.01, 69.02), "cnn": (93.29, 69.74), "bnn": (86.74, 56.21)},
}
_TABLE_3 = {  # top-1, top-5
    "resnet18": {"adder": (67.0, 87.6), "cnn": (69.8, 89.1), "bnn": (51.2, 73.2)},
    "resnet50": {"adder": (74.9, 91.7), "cnn": (76.2, 92.9), "bnn": (55.8, 78.4)},
}
_TABLE_5 = {"l2": (69.6, 89.0), "adder": (66.8, 87.4), "cnn": (69.8, 89.1)}

NETWORKS = {
    "mnist": Network(
        place="section 4.1",
        data="mnist",
        model="lenet5-bn",
        accuracies={"adder": (99.40,), "cnn": (99.40,)},
        seeds=5,
    )
}
for _column, _data in enumerate(("cifar10", "cifar100")):
    for _model, _kinds in _TABLE_2.items():
        NETWORKS[f"{_data}-{_model}"] = Network(
            place="Table 2",
            data=_data,
            model=_model,
            accuracies={kind: (percent[_column],) for kind, percent in _kinds.items()},
        )
for _model, _kinds in _TABLE_3.items():
    NETWORKS[f"imagenet-{_model}"] = Network(
        place="Table 3", data="imagenet", model=_model, accuracies=_kinds
    )
NETWORKS["table5"] = Network(
    place="Table 5", data="imagenet", model="resnet18", accuracies=_TABLE_5
)

TITLES = {name: network.title for name, network in NETWORKS.items()} | {
    "ablation": "Ablation (Figure 3)",
    "ablation-xavier": "Ablation (Figure 3) from Xavier's small filters",
    "ablation-derivative": "Ablation (Figure 3), small filters, signs of both gradients",
    "eta": "Impact of η (Table 4)",
    "table1": "Gradient norms at the first iteration (Table 1)",
    "figure1": "Features of LeNet++ (Figure 1)",
    "figure2": "First-layer filters (Figure 2)",
    "figure4": "Distribution of weights (Figure 4)",
    "propositions": "Convergence at a fixed rate (Appendix A)",
}

ABLATION = {  # gradient, schedule: top-1 (section 4.5)
    ("full", "alr"): 99.40,
    ("sign", "alr"): 97.99,
    ("full", "ilr"): 98.99,
    ("sign", "ilr"): 97.72,
    ("full", "plain"): 54.91,
    ("sign", "plain"): 29.26,
}
ETA = {1.0: 99.26, 0.5: 99.30, 0.2: 99.35, 0.1: 99.40, 0.05: 99.32}
TABLE_1 = {"adder": (0.0009, 0.0012, 0.0146), "cnn": (0.2261, 0.2990, 0.4646)}
FIGURE_4 = {"adder": "Laplace", "cnn": "Gauss"}
