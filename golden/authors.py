"""What fits the authors' public code (huawei-noah/AdderNet): its checkpoints and its gradients."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from .optimizer import adaptive_rate, filters

_ENDINGS = {"adder": "weight", "b": "bias"}  # their names of a layer's parameters, and ours


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """Names by which a checkpoint and a network differ. missing: of the network, kept as they
    were. unexpected: of the checkpoint, ignored. mismatched: name, and both shapes; kept."""

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: dict[str, str]

    @property
    def complete(self) -> bool:
        return not (self.missing or self.unexpected or self.mismatched)


def load_authors(state_dict: Mapping[str, Tensor], network: nn.Module) -> LoadReport:
    """Load tensors in the authors' naming into `network`, and say what did not match.

    Their adder layers call the weight "adder" and the bias "b"; networks saved in parallel begin
    every name with "module."; their last layer is a 1 × 1 convolution. Names of this project load
    too. For resnet20 every name has its counterpart; for resnet50, give `stride_in=3`.

    Raises ValueError when the mapping holds something other than tensors (a whole module, or a
    training state that has the tensors inside).
    """
    given = {_our_name(name): value for name, value in _tensors(state_dict).items()}
    own = network.state_dict()
    mismatched, fitting = {}, {}
    for name in (name for name in own if name in given):
        value = _in_shape(given[name], own[name].shape)
        if value is None:
            mismatched[name] = f"{tuple(given[name].shape)}, not {tuple(own[name].shape)}"
        else:
            fitting[name] = value
    network.load_state_dict(own | fitting)
    return LoadReport(
        loaded=tuple(name for name in own if name in fitting),
        missing=tuple(name for name in own if name not in given),
        unexpected=tuple(name for name in given if name not in own),
        mismatched=mismatched,
    )


def normalize_in_backward(
    network: nn.Module, eta: float = 0.2, epsilon: float = 1e-12
) -> list[RemovableHandle]:
    """Scale adder filters' gradients by Eq. 13 in each backward pass, as the authors' code does.

    Compatibility only: with `AdderSGD(parameter_groups(network), lr=0.1, rate="plain",
    nesterov=False)`, this takes the steps of the authors' training, η = 0.2 and all. The
    gradient is normalized before it is accumulated, so unlike rate "alr" it is wrong for batches
    in parts. Remove the handles to end it.
    """
    return [
        weight.register_hook(lambda gradient: gradient * adaptive_rate(gradient, eta, epsilon))
        for weight in filters(network, ("adder",))
    ]


def _tensors(state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if not isinstance(state_dict, Mapping):
        raise ValueError(
            f"state_dict must map names to tensors, not be a {type(state_dict).__name__}; "
            "give its state_dict()"
        )
    for name, value in state_dict.items():
        if not (isinstance(name, str) and isinstance(value, torch.Tensor)):
            raise ValueError(
                f"state_dict must map names to tensors, but {name!r} is a {type(value).__name__}; "
                "give the mapping that holds the tensors"
            )
        if value.layout != torch.strided or value.is_meta or value.is_complex():
            raise ValueError(
                f"state_dict must hold dense tensors of real numbers, but {name!r} is "
                f"{value.dtype} on {value.device} in layout {value.layout}; save it as such"
            )
    return state_dict


def _our_name(name: str) -> str:
    path, _, ending = name.removeprefix("module.").rpartition(".")
    return f"{path}.{_ENDINGS.get(ending, ending)}".removeprefix(".")


def _in_shape(value: Tensor, shape: torch.Size) -> Tensor | None:
    """The tensor in `shape`, when at most axes of length 1 at the end differ."""
    axes = max(value.dim(), len(shape))
    padded = [tuple(s) + (1,) * (axes - len(s)) for s in (value.shape, shape)]
    return value.reshape(shape) if padded[0] == padded[1] else None
