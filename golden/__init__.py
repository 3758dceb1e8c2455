"""What must be computed: layers, networks, training, quantization, the integer reference.

`golden.convert` makes an adder network of any `nn.Module`; see `golden.conversion`.
"""

from importlib import import_module

__all__ = ["convert"]


def __getattr__(name: str) -> object:
    if name != "convert":
        raise AttributeError(f"module 'golden' has no public name {name!r}")
    return import_module("golden.conversion").convert
