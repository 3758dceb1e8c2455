"""Checks of the arguments that layers take, with one line for what is refused."""

from collections.abc import Sequence
from operator import index

from torch import Tensor

Size = int | tuple[int, int]


def at_least(least: int, name: str, value: int) -> int:
    """The value, of any type of integers, as an int."""
    number = None if isinstance(value, bool) or not hasattr(value, "__index__") else index(value)
    if number is None or number < least:
        raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}")
    return number


def pair(least: int, name: str, value: Size) -> tuple[int, int]:
    """`value` for both axes when it is one integer."""
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2:
        raise ValueError(f"{name} must be one integer or two, not {value!r}")
    return at_least(least, name, both[0]), at_least(least, name, both[1])


def padding_pair(
    value: Size | str, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int]:
    """Zeros on each side: numbers, "valid" for none, or "same" for a map as large as the input.

    Raises ValueError for "same" with a stride, or where the two sides would differ.
    """
    if value == "valid":
        return 0, 0
    if value != "same":
        return pair(0, "padding", value)
    both = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if stride != (1, 1) or any(zeros % 2 for zeros in both):
        raise ValueError(
            f"padding 'same' must have stride 1 and an even dilation · (kernel - 1), not stride "
            f"{stride} and {tuple(both)}; give the padding as numbers"
        )
    return both[0] // 2, both[1] // 2


def divisor(groups: int, in_channels: int, out_channels: int) -> int:
    at_least(1, "groups", groups)
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"groups must divide in_channels and out_channels, not {groups} with "
            f"{in_channels} and {out_channels}"
        )
    return groups


def one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, not {value!r}")
    return value


def check_images(
    input: Tensor,
    channels: int,
    kernel: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """Raises ValueError on images of other channels, empty ones, or smaller than the kernel."""
    if input.dim() != 4 or input.shape[1] != channels or 0 in input.shape[2:]:
        raise ValueError(
            f"input must be (images, {channels}, height, width), not {tuple(input.shape)}"
        )
    for axis in (0, 1):
        if dilation[axis] * (kernel[axis] - 1) + 1 > input.shape[2 + axis] + 2 * padding[axis]:
            raise ValueError(
                f"a kernel of {kernel} with dilation {dilation} must not exceed the padded input, "
                f"but the input is {tuple(input.shape[2:])} with padding {padding}"
            )


def check_features(input: Tensor, features: int) -> None:
    if input.dim() < 1 or input.shape[-1] != features:
        raise ValueError(f"input must end in {features} features, not be {tuple(input.shape)}")


def check_type(input: Tensor, weight: Tensor) -> None:
    if input.dtype != weight.dtype:
        raise ValueError(f"input must be {weight.dtype} as the weight is, not {input.dtype}")
