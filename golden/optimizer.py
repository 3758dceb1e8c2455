"""Stochastic gradient descent with the paper's adaptive learning rate for adder filters."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from .layers import AdderConv2d, AdderLinear


class AdderSGD(torch.optim.Optimizer):
    """Nesterov's accelerated gradient (NAG); adder filters take the adaptive rate of Eq. 12, 13.

    For a parameter p with gradient g, in this order:

        g ← g · η √k / max(‖g‖₂, epsilon)      adder filters only; k elements (Eq. 13)
        g ← g + weight_decay · p
        v ← momentum · v + g                   v starts as g
        p ← p - lr · (g + momentum · v)        (Eq. 12)

    The rate is applied here, not in the backward pass, so it sees gradients after accumulation
    and averaging. An exactly zero gradient stays zero. parameters: groups of which those with
    "adaptive": True hold adder filters; see `parameter_groups`.
    """

    def __init__(
        self,
        parameters: Iterable,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        eta: float = 0.1,
        epsilon: float = 1e-12,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        defaults |= {"eta": eta, "epsilon": epsilon}
        for name, value in defaults.items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a number of at least 0, not {value}")
        if epsilon == 0:
            raise ValueError("epsilon must be positive, not 0: a zero gradient has no direction")
        super().__init__(parameters, defaults | {"adaptive": False})

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
        gradient = parameter.grad
        if group["adaptive"]:
            gradient = gradient * adaptive_rate(gradient, group["eta"], group["epsilon"])
        gradient = gradient.add(parameter, alpha=group["weight_decay"])
        state = self.state[parameter]
        if "velocity" in state:
            state["velocity"].mul_(group["momentum"]).add_(gradient)
        else:
            state["velocity"] = gradient.clone()
        gradient.add_(state["velocity"], alpha=group["momentum"])
        parameter.add_(gradient, alpha=-group["lr"])


def adaptive_rate(gradient: Tensor, eta: float, epsilon: float) -> Tensor:
    """α = η √k / max(‖gradient‖₂, epsilon), k its number of elements (Eq. 13)."""
    return eta * math.sqrt(gradient.numel()) / gradient.norm().clamp(min=epsilon)


def parameter_groups(network: nn.Module) -> list[dict]:
    """The network's parameters in two groups: adder filters, adaptive, and all others."""
    filters = [
        module.weight
        for module in network.modules()
        if isinstance(module, AdderConv2d | AdderLinear)
    ]
    known = {id(parameter) for parameter in filters}
    others = [parameter for parameter in network.parameters() if id(parameter) not in known]
    groups = [{"params": filters, "adaptive": True}, {"params": others, "adaptive": False}]
    return [group for group in groups if group["params"]]
