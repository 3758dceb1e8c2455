"""Any network's layers in another kind."""

import copy
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from torch import nn
from torch.nn.parameter import is_lazy

from .kinds import Layers, kind_of, layers_of
from .layers import AdderConvTranspose2d

_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
_WINDOW = ("kernel_size", "stride", "padding", "dilation", "groups")


@dataclass(frozen=True, kw_only=True)
class ConversionReport:
    """swapped: names of the layers now of the kind. left: of layers with weights that were left
    alone, with the reason."""

    swapped: tuple[str, ...]
    left: dict[str, str]

    def __str__(self) -> str:
        first = f"{len(self.swapped)} layers swapped, {len(self.left)} left alone"
        return "\n".join([first, *(f"{name}: {reason}" for name, reason in self.left.items())])


def convert(
    module: nn.Module, kind: str = "adder", gradient: str = "full", keep: Collection[str] = ()
) -> tuple[nn.Module, ConversionReport]:
    """A copy of `module` whose convolutions, transposed ones and linear layers are of `kind`.

    kind: "adder", "cnn", "bnn" or "l2". gradient: of adder layers, see `AdderConv2d`. keep: names
    of layers to leave alone; the paper keeps the first and the last, but on MNIST.

    Sizes, biases' presence, device, dtype, training mode and names stay; weights are drawn anew,
    since filters of one kind are of no use to another. A layer used in two places is one again.
    For "bnn", modules `nn.ReLU` become `nn.Hardtanh`. Adder layers need a batch norm after them.

    Left alone, and reported: layers kept; of the kind already; with hooks; sharing a weight; in
    `nn.TransformerEncoderLayer`, which reads their weights; with padding not of zeros, or not the
    same on both sides; subclasses, and other layers with matrices.

    A module of your own that reads a layer's weight, as in `linear(x, self.fc.weight)`, is not
    recognized: name such layers in `keep`.

    Raises ValueError on another kind or gradient, and on a name in keep that is no layer.
    """
    layers, module = layers_of(kind, gradient), copy.deepcopy(module)
    keep = (keep,) if isinstance(keep, str) else keep
    kept = _kept(module, keep)
    read = {
        id(layer)
        for parent in module.modules()
        if isinstance(parent, nn.TransformerEncoderLayer)  # its fast path multiplies by itself
        for layer in parent.children()
    }
    users = Counter(
        id(parameter) for layer in module.modules() for parameter in layer._parameters.values()
    )
    replacements, swapped, left = {}, [], {}
    for name, layer in module.named_modules():
        if _has_filters(layer):
            reason = "kept" if id(layer) in kept else _obstacle(layer, kind, layers, users)
            if reason is None and id(layer) in read:
                reason = "its parent reads its weight"
            if reason is None:
                replacements[id(layer)] = _counterpart(layer, layers)
                swapped.append(name)
            else:
                left[name] = reason
        elif kind == "bnn" and type(layer) is nn.ReLU and id(layer) not in kept:
            replacements[id(layer)] = nn.Hardtanh()
    report = ConversionReport(swapped=tuple(swapped), left=left)
    return _replaced(module, replacements), report


def _kept(module: nn.Module, keep: Collection[str]) -> set[int]:
    """The modules to keep, by any of their names, and those inside them."""
    named = dict(module.named_modules(remove_duplicate=False))
    for name in keep:
        if name not in named:
            raise ValueError(f"keep must name modules of the network, not {name!r}")
    return {id(inside) for name in keep for inside in named[name].modules()}


def _has_filters(layer: nn.Module) -> bool:
    """Whether the layer itself holds a matrix of weights, or is some convolution or linear one."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        return True
    parameters = [p for p in layer._parameters.values() if p is not None]
    return any(is_lazy(p) or p.dim() > 1 for p in parameters)


def _obstacle(layer: nn.Module, kind: str, layers: Layers, users: Counter) -> str | None:
    """Why the layer cannot be swapped."""
    name = type(layer).__name__
    if kind_of(layer) is None:
        return f"{name} has no counterpart"
    if kind_of(layer) == kind:
        return f"is a layer of kind {kind!r} already"
    if getattr(layer, "padding_mode", "zeros") != "zeros":
        return f"pads by {layer.padding_mode!r}, not by zeros"
    if any(getattr(layer, hooks) for hooks in _HOOKS):
        return "has hooks"
    if any(users[id(p)] > 1 for p in layer._parameters.values() if p is not None):
        return "shares its weight with another layer"
    if _is_transposed(layer) and layers.transposed is None:
        return f"there is no transposed layer of kind {kind!r}"
    if getattr(layer, "padding", None) == "same" and not _is_even(layer):
        return "pads by 'same', more on one side than on the other"
    return None


def _is_transposed(layer: nn.Module) -> bool:
    return isinstance(layer, nn.ConvTranspose2d | AdderConvTranspose2d)


def _is_even(layer: nn.Conv2d) -> bool:
    taps = zip(layer.dilation, layer.kernel_size, strict=True)
    return all(dilation * (kernel - 1) % 2 == 0 for dilation, kernel in taps)


def _counterpart(layer: nn.Module, layers: Layers) -> nn.Module:
    """A new layer of the same sizes."""
    options = {
        "bias": layer.bias is not None,
        "device": layer.weight.device,
        "dtype": layer.weight.dtype,
    }
    if hasattr(layer, "in_features"):
        other = layers.linear(layer.in_features, layer.out_features, **options)
    else:
        options |= {name: getattr(layer, name) for name in _WINDOW}
        make, channels = layers.conv2d, (layer.in_channels, layer.out_channels)
        if _is_transposed(layer):
            make, options["output_padding"] = layers.transposed, layer.output_padding
        other = make(*channels, **options)
    for name, parameter in other.named_parameters():
        parameter.requires_grad_(getattr(layer, name).requires_grad)
    return other.train(layer.training)


def _replaced(module: nn.Module, replacements: dict[int, nn.Module]) -> nn.Module:
    for parent in list(module.modules()):
        for name, child in parent._modules.items():
            parent._modules[name] = replacements.get(id(child), child)
    return replacements.get(id(module), module)
