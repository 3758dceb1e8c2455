"""Descriptors of layers as words of a memory of the accelerator."""

from collections.abc import Sequence

from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.utils import ceil_log2

from .descriptor import READ_LEVELS, WRITE_LEVELS, LayerDescriptor
from .loops import steps
from .pooling import windows_layout, windows_values
from .program import Program

TRANSFERS = ("store", "fetch", "fetch_added")


def layer_layout(program: Program) -> StructLayout:
    """A descriptor's fields, of as many bits as the program's layers need."""
    layers = program.layers
    address = ceil_log2(program.config.activation_words)
    row, column = (
        _widest(layer.source.shape[1 + axis] + layer.padding[axis] for layer in layers)
        for axis in (0, 1)
    )
    reads, writes = len(READ_LEVELS), len(WRITE_LEVELS)
    turns = _widest(max(*layer.read_counts, *layer.added_counts) for layer in layers)
    width = program.config.map_width
    transfer = StructLayout({"at": 32, "beats": 32, "place": address, "words": address + 1})
    return StructLayout(
        {
            "read_limits": ArrayLayout(turns, reads),
            "address": _walk_layout(address, reads),
            "row": _walk_layout(row, reads),
            "column": _walk_layout(column, reads),
            "rows": row,
            "columns": column,
            "in_zero": width,
            "signs": 1,
            "fills": program.config.channels,
            "half": max(_half(layer) for layer in layers).bit_length(),
            "drop": max(layer.drop for layer in layers).bit_length(),
            "most": max(layer.width for layer in layers),
            "rest": _widest(layer.rest for layer in layers),
            "added_limits": ArrayLayout(turns, writes),
            "added": _walk_layout(address, writes),
            "write_limits": ArrayLayout(turns, writes),
            "write": _walk_layout(address, writes),
            "constant": ceil_log2(program.config.constant_words),
            "out_zero": width,
            "highest": program.code_width,
            "stores": 1,
            "mean": 1,
            "pool_offset": max(layer.pool_offset for layer in layers).bit_length(),
            "pool_shift": max(layer.pool.shift for layer in layers).bit_length(),
            "pool_rows": _windows_layout(layers, 0),
            "pool_columns": _windows_layout(layers, 1),
        }
        | (dict.fromkeys(TRANSFERS, transfer) if program.maps else {})
    )


def layer_values(layer: LayerDescriptor, layout: StructLayout) -> dict:
    """A layer's values of `layer_layout`."""
    _, rows, columns = layer.source.shape
    reads = {
        name: (layer.read_counts, strides, layer.read_starts[name])
        for name, strides in layer.read_strides.items()
    }
    added, write = (place.base if place else 0 for place in (layer.residual, layer.target))
    walks = reads | {
        "added": (layer.added_counts, layer.added_strides, added),
        "write": (layer.write_counts, layer.write_strides, write),
    }
    return (
        {
            "read_limits": [count - 1 for count in layer.read_counts],
            "added_limits": [count - 1 for count in layer.added_counts],
            "write_limits": [count - 1 for count in layer.write_counts],
            "rows": rows,
            "columns": columns,
            "in_zero": layer.in_zero,
            "signs": layer.kind == "xnor",
            "fills": layer.fills,
            "half": _half(layer),
            "drop": layer.drop,
            "most": 2**layer.width - 1,
            "rest": layer.rest,
            "constant": layer.constant_base,
            "out_zero": layer.out_zero if layer.target else 0,
            "highest": layer.highest,
            "stores": layer.target is not None,
            "mean": layer.pool.kind == "mean",
            "pool_offset": layer.pool_offset,
            "pool_shift": layer.pool.shift,
            "pool_rows": windows_values(layer.pool, 0),
            "pool_columns": windows_values(layer.pool, 1),
        }
        | {name: _transfer_values(layer, name) for name in TRANSFERS if name in layout.members}
        | {name: _walk_values(layout[name].shape, *numbers) for name, numbers in walks.items()}
    )


def _windows_layout(layers: Sequence[LayerDescriptor], axis: int) -> StructLayout:
    values = [windows_values(layer.pool, axis) for layer in layers]
    return windows_layout(
        **{name: max(one[name] for one in values).bit_length() for name in values[0]}
    )


def _transfer_values(layer: LayerDescriptor, name: str) -> dict[str, int]:
    """at and beats are in beats, place and words in words."""
    transfer, beats = getattr(layer, name), layer.config.map_beats
    return {
        "at": transfer.at * beats,
        "beats": transfer.words * beats,
        "place": transfer.place,
        "words": transfer.words,
    }


def _walk_layout(width: int, levels: int) -> StructLayout:
    return StructLayout({"start": width, "steps": ArrayLayout(width, levels)})


def _walk_values(
    layout: StructLayout, counts: Sequence[int], strides: Sequence[int], start: int
) -> dict:
    """Modulo 2**width, as the walk adds."""
    modulus = 2 ** layout["start"].width
    added = [step % modulus for step in steps(counts, strides)]
    return {"start": start % modulus, "steps": added}


def _half(layer: LayerDescriptor) -> int:
    """What rounds half up."""
    return 1 << layer.drop >> 1


def _widest(values) -> int:
    return max(max(values).bit_length(), 1)
