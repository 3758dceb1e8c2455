"""The adder layer on a GPU, in Triton: twins of the methods of `kernels.Kernels`, on CUDA tensors.

A program holds a tile of sums in registers and walks along what they sum over. Addresses are
computed, nothing is unfolded. Sums are in float32, in an order that depends on sizes alone, so
results repeat. A kernel's last arguments are the sizes of `Shape`, in its order; those of the
window are compiled into it.

So far these kernels have been run in Triton's interpreter, and compiled for NVIDIA GPUs of compute
capability 8.0 and 9.0. On a GPU they have never been run. What is known of their speed is what
benchmarks/gpu_instructions.py counts: for layers of ResNet-20 56 to 81 % of the instructions in the
inner loops are arithmetic. The input's gradient is a difference of sums, right to about 1e-7 of
Σ |g|, not of itself. A NaN among the operands shows in the output; gradients may hide it.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .kernels import Shape

# A program is one warp, which need not wait for others. Sides of its tile of sums, in filters or
# channels, and in what there is more of: 16 sums in a thread, 32 where there are 32 filters.
WARPS = 1
TILE = 512
LONGEST_SIDES = (32, 128)
SHORTEST_SIDE = 32
PROGRAMS = 4096  # the sign gradient is shared out among as many, about


@triton.jit
def _forward_tile(
    input,
    weight,
    output,
    FILTERS: tl.constexpr,
    POSITIONS: tl.constexpr,
    images,
    channels,
    height,
    width,
    filters,
    kernel_rows: tl.constexpr,
    kernel_cols: tl.constexpr,
    stride_rows: tl.constexpr,
    stride_cols: tl.constexpr,
    padding_rows: tl.constexpr,
    padding_cols: tl.constexpr,
    dilation_rows: tl.constexpr,
    dilation_cols: tl.constexpr,
    groups,
    map_rows,
    map_cols,
):
    """Y = -Σ|x - f| (Eq. 2) of FILTERS filters of a group at POSITIONS positions."""
    group_channels, group_filters = channels // groups, filters // groups
    reduction = group_channels * kernel_rows * kernel_cols
    blocks = tl.cdiv(group_filters, FILTERS)
    program = tl.program_id(0)
    group = program % (groups * blocks) // blocks
    filter = (program % blocks * FILTERS + tl.arange(0, FILTERS)).to(tl.int64)
    position = (program // (groups * blocks)).to(tl.int64) * POSITIONS + tl.arange(0, POSITIONS)
    map_row, map_col = position // map_cols % map_rows, position % map_cols
    image = position // map_cols // map_rows
    is_filter, is_position = filter < group_filters, image < images
    top, left = map_row * stride_rows - padding_rows, map_col * stride_cols - padding_cols

    channel = image * channels + group * group_channels
    windows = input + (channel * height + top) * width + left
    weights = weight + (group * group_filters + filter) * reduction
    sad = tl.zeros((FILTERS, POSITIONS), tl.float32)
    for _ in range(group_channels):
        for kernel_row in range(kernel_rows):
            row = top + kernel_row * dilation_rows
            in_rows = is_position & (row >= 0) & (row < height)
            for kernel_col in range(kernel_cols):
                col = left + kernel_col * dilation_cols
                pixels = windows + kernel_row * dilation_rows * width + kernel_col * dilation_cols
                x = tl.load(pixels, in_rows & (col >= 0) & (col < width), 0.0)
                f = tl.load(weights, is_filter, 0.0)
                sad += tl.abs(x[None, :] - f[:, None])
                weights += 1
        windows += height * width

    outputs = (image * filters + group * group_filters)[None, :] + filter[:, None]
    outputs = (outputs * map_rows + map_row[None, :]) * map_cols + map_col[None, :]
    tl.store(output + outputs, -sad, is_filter[:, None] & is_position[None, :])


@triton.jit
def _input_gradient_tile(
    input,
    weight,
    upstream,
    grad_input,
    SIGN: tl.constexpr,
    CHANNELS: tl.constexpr,
    PIXELS: tl.constexpr,
    images,
    channels,
    height,
    width,
    filters,
    kernel_rows: tl.constexpr,
    kernel_cols: tl.constexpr,
    stride_rows: tl.constexpr,
    stride_cols: tl.constexpr,
    padding_rows: tl.constexpr,
    padding_cols: tl.constexpr,
    dilation_rows: tl.constexpr,
    dilation_cols: tl.constexpr,
    groups,
    map_rows,
    map_cols,
):
    """Σ g HT(f - x) (Eq. 6, 7), or with SIGN Σ g sgn(f - x), of CHANNELS channels of a group at
    PIXELS pixels."""
    group_channels, group_filters = channels // groups, filters // groups
    reduction = group_channels * kernel_rows * kernel_cols
    blocks = tl.cdiv(group_channels, CHANNELS)
    program = tl.program_id(0)
    group = program % (groups * blocks) // blocks
    channel = (program % blocks * CHANNELS + tl.arange(0, CHANNELS)).to(tl.int64)
    pixel = (program // (groups * blocks)).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    image, row, col = pixel // width // height, pixel // width % height, pixel % width
    is_channel, is_pixel = channel < group_channels, image < images
    is_inside = is_channel[:, None] & is_pixel[None, :]

    pixels = (image * channels + group * group_channels)[None, :] + channel[:, None]
    pixels = (pixels * height + row[None, :]) * width + col[None, :]
    # HT(f - x) = 2 · clip((f + 1) / 2 - x / 2, 0, 1) - 1, for which a GPU has one instruction.
    # sgn(f - x): the same of a difference that is huge, whatever floats they are.
    x = tl.load(input + pixels, is_inside, 0.0)
    half_x = 0.5 * x
    gradient = tl.zeros((CHANNELS, PIXELS), tl.float32)
    g_sum = tl.zeros((PIXELS,), tl.float32)
    for kernel_row in range(kernel_rows):
        down = row + padding_rows - kernel_row * dilation_rows  # stride times the map's row, if any
        map_row = down // stride_rows
        in_rows = is_pixel & (down >= 0) & (down % stride_rows == 0) & (map_row < map_rows)
        for kernel_col in range(kernel_cols):
            right = col + padding_cols - kernel_col * dilation_cols
            map_col = right // stride_cols
            in_cols = (right >= 0) & (right % stride_cols == 0) & (map_col < map_cols)
            first = image * filters + group * group_filters
            outputs = upstream + (first * map_rows + map_row) * map_cols + map_col
            terms = (channel * kernel_rows + kernel_row) * kernel_cols + kernel_col
            weights = weight + group * group_filters * reduction + terms
            for _ in range(group_filters):
                g = tl.load(outputs, in_rows & in_cols, 0.0)
                f = tl.load(weights, is_channel, 0.0)
                if SIGN:
                    slope = (f[:, None] - x) * 2.0**100 * 2.0**100 + 0.5
                else:
                    slope = (0.5 * f + 0.5)[:, None] - half_x
                gradient += g[None, :] * tl.minimum(tl.maximum(slope, 0.0), 1.0)
                g_sum += g
                outputs += map_rows * map_cols
                weights += reduction
    tl.store(grad_input + pixels, 2.0 * gradient - g_sum[None, :], is_inside)


@triton.jit
def _sign_gradient_tile(
    input,
    weight,
    upstream,
    parts,
    rows,
    part_rows,
    FILTERS: tl.constexpr,
    TERMS: tl.constexpr,
    images,
    channels,
    height,
    width,
    filters,
    kernel_rows: tl.constexpr,
    kernel_cols: tl.constexpr,
    stride_rows: tl.constexpr,
    stride_cols: tl.constexpr,
    padding_rows: tl.constexpr,
    padding_cols: tl.constexpr,
    dilation_rows: tl.constexpr,
    dilation_cols: tl.constexpr,
    groups,
    map_rows,
    map_cols,
):
    """Σ g sgn(x - f) (Eq. 4) of FILTERS filters and TERMS terms of a group, over `part_rows` of the
    `rows` rows that all maps have."""
    group_channels, group_filters = channels // groups, filters // groups
    reduction = group_channels * kernel_rows * kernel_cols
    filter_blocks, term_blocks = tl.cdiv(group_filters, FILTERS), tl.cdiv(reduction, TERMS)
    blocks = filter_blocks * term_blocks
    program = tl.program_id(0)
    part = (program // (groups * blocks)).to(tl.int64)
    group = program % (groups * blocks) // blocks
    filter = (program % blocks // term_blocks * FILTERS + tl.arange(0, FILTERS)).to(tl.int64)
    term = (program % term_blocks * TERMS + tl.arange(0, TERMS)).to(tl.int64)
    is_filter, is_term = filter < group_filters, term < reduction
    is_inside = is_filter[:, None] & is_term[None, :]
    channel = group * group_channels + term // (kernel_rows * kernel_cols)
    down = term // kernel_cols % kernel_rows * dilation_rows - padding_rows
    right = term % kernel_cols * dilation_cols - padding_cols

    weights = (group * group_filters + filter)[:, None] * reduction + term[None, :]
    f = tl.load(weight + weights, is_inside, 0.0)
    # sgn(x - f) = 2 · clip(2**200 · (x - f) + 1 / 2, 0, 1) - 1, whatever floats they are.
    gradient = tl.zeros((FILTERS, TERMS), tl.float32)
    g_sum = tl.zeros((FILTERS,), tl.float32)
    for map_row in range(part * part_rows, tl.minimum((part + 1) * part_rows, rows)):
        image = map_row // map_rows
        row = map_row % map_rows * stride_rows + down
        in_rows = is_term & (row >= 0) & (row < height)
        pixels = input + ((image * channels + channel) * height + row) * width
        output = image * filters + group * group_filters + filter
        outputs = upstream + (output * map_rows + map_row % map_rows) * map_cols
        for map_col in range(map_cols):
            col = map_col * stride_cols + right
            x = tl.load(pixels + col, in_rows & (col >= 0) & (col < width), 0.0)
            g = tl.load(outputs + map_col, is_filter, 0.0)
            huge = (x[None, :] - f) * 2.0**100 * 2.0**100
            gradient += g[:, None] * tl.minimum(tl.maximum(huge + 0.5, 0.0), 1.0)
            g_sum += g
    gradient = 2.0 * gradient - g_sum[:, None]
    tl.store(parts + part * filters * reduction + weights, gradient, is_inside)


def forward(shape: Shape, input: Tensor, weight: Tensor) -> Tensor:
    """Y = -Σ|X - F|: (images, filters, map rows, map columns)."""
    output = input.new_empty(shape.images, shape.filters, shape.map_rows, shape.map_cols)
    filters, positions = _tile(shape.filters // shape.groups)
    programs = shape.groups * triton.cdiv(shape.filters // shape.groups, filters)
    programs *= triton.cdiv(shape.images * shape.map_rows * shape.map_cols, positions)
    _launch(_forward_tile, programs, shape, [input, weight, output], filters, positions)
    return output


def input_gradient(
    shape: Shape, input: Tensor, weight: Tensor, grad_output: Tensor, sign: bool
) -> Tensor:
    """Σ g HT(F - X) (Eq. 6, 7), or with `sign` Σ g sgn(F - X), of the input's shape."""
    gradient = input.new_empty(input.shape)
    channels, pixels = _tile(shape.channels // shape.groups)
    programs = shape.groups * triton.cdiv(shape.channels // shape.groups, channels)
    programs *= triton.cdiv(shape.images * shape.height * shape.width, pixels)
    tensors = [input, weight, grad_output, gradient]
    _launch(_input_gradient_tile, programs, shape, tensors, sign, channels, pixels)
    return gradient


def sign_gradient(shape: Shape, input: Tensor, weight: Tensor, grad_output: Tensor) -> Tensor:
    """Σ g sgn(X - F) (Eq. 4), of the weight's shape."""
    filters, terms = _tile(shape.filters // shape.groups)
    blocks = shape.groups * triton.cdiv(shape.filters // shape.groups, filters)
    blocks *= triton.cdiv(weight[0].numel(), terms)
    rows = shape.images * shape.map_rows
    part_rows = max(1, triton.cdiv(rows, triton.cdiv(PROGRAMS, blocks)))
    parts = weight.new_empty(triton.cdiv(rows, part_rows), *weight.shape)
    tensors, tile = [input, weight, grad_output, parts], (rows, part_rows, filters, terms)
    _launch(_sign_gradient_tile, blocks * len(parts), shape, tensors, *tile)
    return parts.sum(0)


def _tile(count: int) -> tuple[int, int]:
    """Sides of a tile for `count` filters or channels of a group."""
    side = min(LONGEST_SIDES[0], triton.next_power_of_2(count))
    return side, min(LONGEST_SIDES[1], max(SHORTEST_SIDE, TILE // side))


def _launch(kernel, programs: int, shape: Shape, tensors: list[Tensor], *numbers: int) -> None:
    """`programs` of the kernel, on the grid's first axis, which alone may be long."""
    if programs == 0:
        return
    tensors = [tensor.contiguous() for tensor in tensors]
    sizes = [getattr(shape, name) for name, _ in Shape._fields_]
    with torch.cuda.device_of(tensors[0]):
        kernel[(programs,)](*tensors, *numbers, *sizes, enable_fp_fusion=True, num_warps=WARPS)
