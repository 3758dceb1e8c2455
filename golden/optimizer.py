"""Stochastic gradient descent with the paper's learning rates for adder filters."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .arguments import one_of
from .kinds import computes

RATES = ("alr", "ilr", "plain")


class AdderSGD(torch.optim.Optimizer):
    """Nesterov's accelerated gradient (NAG), with a rate of its own for adder filters.

    For a parameter p with gradient g, in this order:

        g ← α · g                              adder filters only
        g ← g + weight_decay · p
        v ← momentum · v + g                   v starts as g
        p ← p - lr · (g + momentum · v)        with nesterov, else p - lr · v   (Eq. 12)

    With decay_first the second line comes before the first, so that α scales the decay too; the
    authors' code has it after.

    rate "alr", adaptive: α = η √k / max(‖g‖₂, epsilon), k the filters' elements (Eq. 13). "ilr",
    increased: α = increase, 100 in section 4.5. "plain": α = 1.

    The rate is applied here, not in the backward pass, so it sees gradients after accumulation,
    averaging and clipping; a common factor of the filters' gradient, such as clipping by norm has,
    changes nothing with "alr". An exactly zero gradient stays zero. parameters: groups, of which
    those with "adaptive": True hold adder filters, and those with a "limit" are kept within
    -limit … limit after each step (binary filters); see `parameter_groups`.

    Raises ValueError on another rate, and on settings that are negative or not finite, of a group
    as well.
    """

    def __init__(
        self,
        parameters: Iterable,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        eta: float = 0.1,
        epsilon: float = 1e-12,
        rate: str = "alr",
        increase: float = 100.0,
        nesterov: bool = True,
        decay_first: bool = False,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        defaults |= {"eta": eta, "epsilon": epsilon, "increase": increase}
        defaults |= {"rate": rate, "nesterov": nesterov, "decay_first": decay_first}
        super().__init__(parameters, defaults | {"adaptive": False, "limit": None})

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:  # of states that were saved before there was a choice
            group.setdefault("decay_first", False)

    def add_param_group(self, param_group: dict) -> None:
        """Raises ValueError as the optimizer does."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for name in ("lr", "momentum", "weight_decay", "eta", "epsilon", "increase"):
            if not (math.isfinite(group[name]) and group[name] >= 0):
                raise ValueError(f"{name} must be a number of at least 0, not {group[name]}")
        if group["epsilon"] == 0:
            raise ValueError("epsilon must be positive, not 0: a zero gradient has no direction")
        one_of("rate", group["rate"], RATES)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, parameter: Tensor, group: dict) -> None:
        gradient, decay = parameter.grad, group["weight_decay"]
        if group["decay_first"]:
            gradient = gradient.add(parameter, alpha=decay)
        if group["adaptive"]:
            gradient = gradient * _rate(gradient, group)
        if not group["decay_first"]:
            gradient = gradient.add(parameter, alpha=decay)
        state = self.state[parameter]
        if "velocity" in state:
            state["velocity"].mul_(group["momentum"]).add_(gradient)
        else:
            state["velocity"] = gradient.clone()
        if group["nesterov"]:
            gradient.add_(state["velocity"], alpha=group["momentum"])
        else:
            gradient = state["velocity"]
        parameter.add_(gradient, alpha=-group["lr"])
        if group["limit"] is not None:
            parameter.clamp_(-group["limit"], group["limit"])


def adaptive_rate(gradient: Tensor, eta: float, epsilon: float) -> Tensor:
    """α = η √k / max(‖gradient‖₂, epsilon), k its number of elements (Eq. 13)."""
    return eta * math.sqrt(gradient.numel()) / gradient.norm().clamp(min=epsilon)


def parameter_groups(network: nn.Module, filter_decay: float | None = None) -> list[dict]:
    """The network's parameters: filters of adder and ℓ2 layers, adaptive, and with a weight decay
    of their own where `filter_decay` gives one; filters of binary layers, kept within -1 … 1;
    slopes of PReLUs, without weight decay, which would draw them to ReLU (He et al. 2015, section
    2.1); all others. Empty groups are left out."""
    adaptive = {"params": adaptive_filters(network), "adaptive": True}
    if filter_decay is not None:
        adaptive["weight_decay"] = filter_decay
    binary = {"params": filters(network, ("bnn",)), "adaptive": False, "limit": 1.0}
    prelus = [module for module in network.modules() if isinstance(module, nn.PReLU)]
    slopes = {"params": [prelu.weight for prelu in prelus], "adaptive": False, "weight_decay": 0.0}
    known = {id(weight) for group in (adaptive, binary, slopes) for weight in group["params"]}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    groups = [adaptive, binary, slopes, {"params": others, "adaptive": False}]
    return [group for group in groups if group["params"]]


def adaptive_filters(network: nn.Module) -> list[nn.Parameter]:
    """The weights of the network's adder and ℓ2 layers."""
    return filters(network, ("adder", "l2"))


def filters(network: nn.Module, kinds: tuple[str, ...]) -> list[nn.Parameter]:
    """The weights of the network's layers of these kinds, derived ones too, each once. ValueError
    where a weight is no parameter itself."""
    weights = {}
    for name, module in network.named_modules():
        if computes(module, kinds):
            if not isinstance(module.weight, nn.Parameter):
                raise ValueError(
                    f"weights of layers of kind {' or '.join(kinds)} must be parameters, whose "
                    f"rates are set, but that of {name or 'the layer'} is computed; remove its "
                    "parametrization, or make the groups of parameters yourself"
                )
            weights[id(module.weight)] = module.weight
    return list(weights.values())


def _rate(gradient: Tensor, group: dict) -> Tensor | float:
    if group["rate"] == "alr":
        return adaptive_rate(gradient, group["eta"], group["epsilon"])
    return group["increase"] if group["rate"] == "ilr" else 1.0
