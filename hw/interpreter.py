"""The accelerator's twin: a program's words run as the accelerator runs them, in NumPy."""

import numpy as np

from .descriptor import LayerDescriptor, MapPlace, Transfer, covered
from .loops import walk
from .program import Program
from .program_words import in_lanes


def interpret(program: Program, codes: np.ndarray) -> tuple[int, dict[str, np.ndarray]]:
    """The class of an image, codes (channels, rows, columns), and every layer's map by its name,
    (filters, rows, columns), as the memory of activations holds it when the layer ends."""
    memory, bands = image_memory(program, codes), {}
    outside = external_memory(program, codes)
    for layer in program.layers:
        transfer(layer, memory, outside)
        bands.setdefault(layer.name, []).append(run_layer(program, layer, memory))
    maps = {name: np.concatenate(parts, axis=1) for name, parts in bands.items()}
    return int(maps[program.layers[-1].name].argmax()), maps


def image_memory(program: Program, codes: np.ndarray) -> np.ndarray:
    """The memory of activations (words, channels) with an image in it."""
    memory = np.zeros((program.config.activation_words, program.config.channels), np.int64)
    if program.maps:
        return memory
    words = program.image_words(codes)
    memory[program.image.base : program.image.base + len(words)] = words
    return memory


def external_memory(program: Program, codes: np.ndarray) -> np.ndarray:
    """The external memory's maps (words, channels), with an image there."""
    words = sum(place.words for place in program.maps.values())
    memory = np.zeros((words, program.config.channels), np.int64)
    if program.maps:
        memory[: program.image.words] = program.image_words(codes)
    return memory


def transfer(layer: LayerDescriptor, memory: np.ndarray, outside: np.ndarray) -> None:
    """What is done before a layer runs."""
    outside[_words(layer.store.at, layer.store)] = memory[_words(layer.store.place, layer.store)]
    for one in (layer.fetch, layer.fetch_added):
        memory[_words(one.place, one)] = outside[_words(one.at, one)]


def _words(first: int, of: Transfer) -> slice:
    return slice(first, first + of.words)


def run_layer(program: Program, layer: LayerDescriptor, memory: np.ndarray) -> np.ndarray:
    """The layer's map, which is also stored in the memory, if it is not the last."""
    sums = _sums(program, layer, memory)
    tiles = [_codes(program, layer, tile, sums[tile], memory) for tile in range(layer.tiles)]
    if layer.target is None:
        return np.concatenate(tiles, axis=1)[0, : layer.filters, None, None]
    for tile, given in enumerate(tiles):
        _store(memory, layer, tile, given)
    return stored_map(memory, layer)


def stored_map(memory: np.ndarray, layer: LayerDescriptor) -> np.ndarray:
    """A layer's map (filters, rows, columns) out of the memory (words, channels)."""
    place = layer.target
    return map_of_words(memory[place.base : place.base + place.words], place)


def map_of_words(words: np.ndarray, place: MapPlace) -> np.ndarray:
    """A map (channels, rows, columns) of its words (words, channels of a word)."""
    pixels = words.reshape(*place.shape[1:], -1)[:, :, : place.shape[0]]
    return pixels.transpose(2, 0, 1).copy()


def _sums(program: Program, layer: LayerDescriptor, memory: np.ndarray) -> np.ndarray:
    """(tiles, positions, cols) sums of the array."""
    taken, weights = fold_operands(program, layer, memory)
    if program.config.array.pe == "mac":
        return np.einsum("tfpc,tfnc->tpn", taken, weights)
    sums = np.zeros((layer.tiles, layer.positions, program.config.array.cols), np.int64)
    heavy = [plane.weight for plane in program.planes] if layer.planes > 1 else [0]
    for tile, fold in np.ndindex(layer.tiles, layer.folds):
        distances = np.abs(taken[tile, fold, :, None] - weights[tile, fold]).sum(-1)
        sums[tile] += distances << heavy[fold * layer.planes // layer.folds]
    return sums


def fold_operands(
    program: Program, layer: LayerDescriptor, memory: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Activations (tiles, folds, positions, rows · lanes) and weights (tiles, folds, cols, rows ·
    lanes) as the array takes them."""
    array = program.config.array
    count = (layer.tiles, layer.folds, layer.positions)
    read = {
        name: walk(layer.read_counts, strides, layer.read_starts[name]).reshape(count)
        for name, strides in layer.read_strides.items()
    }
    _, rows, columns = layer.source.shape
    inside = (0 <= read["row"]) & (read["row"] < rows)
    inside &= (0 <= read["column"]) & (read["column"] < columns)
    taken = memory[np.where(inside, read["address"], 0)]
    taken = np.where(inside[..., None], taken, layer.in_zero)
    taken = operands(program, layer, taken, inside)
    first = layer.weight_base
    weights = program.weights[first : first + layer.weight_words]
    weights = weights.reshape(layer.tiles, layer.folds, array.rows, array.cols, array.lanes)
    weights = weights[:, :, ::-1].transpose(0, 1, 3, 2, 4)
    return taken, weights.reshape(layer.tiles, layer.folds, array.cols, -1)


def operands(
    program: Program, layer: LayerDescriptor, codes: np.ndarray, inside: np.ndarray
) -> np.ndarray:
    """(tiles, folds, positions, rows · lanes) of codes (tiles, folds, positions, channels).

    min((code + 2**(drop − 1)) >> drop, 2**width − 1); of a binary layer 0 and 2 for signs, 1 for
    padding and channels that only fill up a word. An `xnor` array takes those in two lanes each,
    and of an ordinary layer the plane's bit.
    """
    config, groups = program.config, layer.source.groups
    if layer.kind == "xnor":
        fills = [layer.fills >> channel & 1 for channel in range(config.channels)]
        ends = np.arange(layer.folds) % groups == groups - 1
        blank = ~inside[..., None] | (ends[:, None, None] & np.array(fills, bool))
        return in_lanes(np.where(blank, 1, 2 * (codes >= layer.in_zero)), config)
    numbers = (codes + (1 << layer.drop >> 1)) >> layer.drop
    numbers = np.minimum(numbers, 2**layer.width - 1)
    if config.array.pe != "xnor":
        return numbers
    bits = np.repeat([plane.operand_bit for plane in program.planes], layer.folds // layer.planes)
    return in_lanes(numbers >> bits[:, None, None] & 1, config)


def _codes(
    program: Program, layer: LayerDescriptor, tile: int, sums: np.ndarray, memory: np.ndarray
) -> np.ndarray:
    constants, index = program.constants, layer.constant_base + tile
    totals = constants.offset[index] + sums * constants.factors["mult"][index]
    if layer.residual:
        group, part = _part(layer, tile)
        start = layer.residual.base + group
        words = walk(layer.added_counts[:2], layer.added_strides[:2], start)
        totals += memory[words, part] * constants.factors["residual_mult"][index]
    return np.clip(totals >> constants.shift[index], 0, layer.highest)


def _store(memory: np.ndarray, layer: LayerDescriptor, tile: int, codes: np.ndarray) -> None:
    """Write a tile's part of every word, with pooling; parts behind it get the zero point."""
    group, part = _part(layer, tile)
    words = walk(layer.write_counts[:2], layer.write_strides[:2], layer.target.base + group)
    memory[words, part.start :] = layer.out_zero
    memory[words, part] = _pooled(layer, codes)


def _pooled(layer: LayerDescriptor, codes: np.ndarray) -> np.ndarray:
    """(windows, cols) of codes (positions, cols)."""
    pool, positions = layer.pool, codes.reshape(*layer.size, -1)
    join = np.sum if pool.kind == "mean" else np.max
    windows = []
    for place in np.ndindex(layer.given):
        rows, columns = (
            covered(pool, axis, range(at, at + 1), layer.size[axis])
            for axis, at in enumerate(place)
        )
        inside = positions[rows.start : rows.stop, columns.start : columns.stop]
        windows.append((join(inside, axis=(0, 1)) + layer.pool_offset) >> pool.shift)
    return np.array(windows)


def _part(layer: LayerDescriptor, tile: int) -> tuple[int, slice]:
    """The tile's group of channels, and its channels there."""
    cols, (group, part) = layer.config.array.cols, divmod(tile, layer.config.parts)
    return group, slice(part * cols, (part + 1) * cols)
