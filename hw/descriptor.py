"""What an accelerator knows of a layer: where its maps lie, and the loops that read and write them.

A map lies pixel by pixel, row by row, each pixel's channels in `groups` words. Channels that fill
up a word hold the map's zero point, as the padding around the map does.
"""

import math
from dataclasses import dataclass

from golden.spec import LayerSpec, Pool

from .accelerator_config import AcceleratorConfig
from .array_sums import in_planes, ordinary_planes

READ_LEVELS = ("column", "row", "group", "kernel column", "kernel row", "plane", "tile")
WRITE_LEVELS = ("column", "row", "part", "group")
ALONE = Pool(kind="max", kernel=(1, 1), stride=(1, 1))  # each output is a window


@dataclass(frozen=True, kw_only=True)
class MapPlace:
    """A map in the memory of activations. base: its first word. groups: words of a pixel."""

    name: str
    shape: tuple[int, int, int]
    base: int
    groups: int

    @property
    def words(self) -> int:
        return math.prod(self.shape[1:]) * self.groups

    @property
    def row_words(self) -> int:
        return self.shape[2] * self.groups


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Between the external memory, from its word `at` on, and that of activations, from `place`
    on."""

    at: int = 0
    place: int = 0
    words: int = 0


@dataclass(frozen=True, kw_only=True)
class LayerDescriptor:
    """One layer as the accelerator runs it, or a band of its rows; a fully connected layer has a
    kernel as large as the map it takes.

    kind: as in `golden.spec`. source: the map it takes. target: the map it gives, or None for the
    last layer, whose codes are compared and not stored. size: rows and columns of the outputs that
    are computed, without those that pooling drops. pool: ALONE without; its padding is that before
    the first row and column.
    in_zero: code of padding. in_width: bits of the codes it takes. drop: of them those that are
    rounded off. width: bits of an operand. out_zero, highest: of the codes it gives. weight_base,
    constant_base: its first words there. store, fetch, fetch_added: what is done first if maps lie
    in an external memory: with what the layer before gave, and the maps that this one takes.
    """

    config: AcceleratorConfig
    name: str
    kind: str
    source: MapPlace
    target: MapPlace | None
    filters: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    size: tuple[int, int]
    pool: Pool
    residual: MapPlace | None
    in_zero: int
    in_width: int
    drop: int
    width: int
    out_zero: int
    highest: int
    weight_base: int
    constant_base: int
    store: Transfer = Transfer()
    fetch: Transfer = Transfer()
    fetch_added: Transfer = Transfer()

    @property
    def tiles(self) -> int:
        return math.ceil(self.filters / self.config.array.cols)

    @property
    def rounds(self) -> bool:
        """Whether an operand may be other than the code."""
        return self.kind != "xnor" and (self.drop > 0 or self.in_width > self.width)

    @property
    def planes(self) -> int:
        """Of weights, see `hw.array_sums`."""
        return len(ordinary_planes(self.config)) if in_planes(self.kind, self.config) else 1

    @property
    def fills(self) -> int:
        """The channels of a pixel's last word that only fill it up, a bit each."""
        used = (self.source.shape[0] - 1) % self.config.channels + 1
        return 2**self.config.channels - 2**used

    @property
    def folds(self) -> int:
        """Passes that add up to a sum: for each plane, kernel position and group of channels."""
        return self.planes * math.prod(self.kernel) * self.source.groups

    @property
    def positions(self) -> int:
        return math.prod(self.size)

    @property
    def rest(self) -> int:
        """Idle cycles at the end of a pass."""
        return max(self.config.shortest_pass - self.positions, 0)

    @property
    def cycles(self) -> int:
        """From its first address to its last."""
        return self.tiles * self.folds * (self.positions + self.rest) - self.rest

    @property
    def weight_words(self) -> int:
        return self.tiles * self.folds * self.config.array.rows

    @property
    def read_counts(self) -> tuple[int, ...]:
        """Turns of each of READ_LEVELS."""
        (rows, columns), (kernel_rows, kernel_columns) = self.size, self.kernel
        inner = columns, rows, self.source.groups, kernel_columns, kernel_rows
        return *inner, self.planes, self.tiles

    @property
    def read_strides(self) -> dict[str, tuple[int, ...]]:
        """What a turn of each level adds to the address, the row and the column in the source."""
        (down, right), groups, row_words = self.stride, self.source.groups, self.source.row_words
        return {
            "address": (right * groups, down * row_words, 1, groups, row_words, 0, 0),
            "row": (0, down, 0, 0, 1, 0, 0),
            "column": (right, 0, 0, 1, 0, 0, 0),
        }

    @property
    def read_starts(self) -> dict[str, int]:
        above, left = self.padding
        outside = above * self.source.row_words + left * self.source.groups
        return {"address": self.source.base - outside, "row": -above, "column": -left}

    @property
    def given(self) -> tuple[int, int]:
        """Rows and columns after pooling."""
        return self.target.shape[1:] if self.target else self.size

    @property
    def added_counts(self) -> tuple[int, ...]:
        """Turns of each of WRITE_LEVELS, of what is computed."""
        return self._counts(self.size)

    @property
    def write_counts(self) -> tuple[int, ...]:
        """Turns of each of WRITE_LEVELS, of what is stored."""
        return self._counts(self.given)

    def _counts(self, size: tuple[int, int]) -> tuple[int, ...]:
        parts = self.config.parts
        return size[1], size[0], parts, math.ceil(self.tiles / parts)

    @property
    def added_strides(self) -> tuple[int, ...]:
        """What a turn of each level adds to the address in the added map."""
        return _map_strides(self.residual)

    @property
    def write_strides(self) -> tuple[int, ...]:
        """What a turn of each level adds to the address in the target."""
        return _map_strides(self.target)

    @property
    def pool_offset(self) -> int:
        """What is added to a window's sum before it is shifted: zeros in place of missing codes,
        and what rounds."""
        if self.pool.kind == "max":
            return 0
        missing = 2**self.pool.shift - math.prod(self.pool.kernel)
        return missing * self.out_zero + (1 << self.pool.shift >> 1)


def _map_strides(place: MapPlace | None) -> tuple[int, ...]:
    return (place.groups, place.row_words, 0, 1) if place else (0,) * len(WRITE_LEVELS)


def computed_size(spec: LayerSpec) -> tuple[int, int]:
    """Rows and columns of the outputs of a layer without those that pooling drops."""
    pool, (_, *given) = spec.pool or ALONE, spec.out_shape
    rows, columns = (
        covered(pool, axis, range(given[axis]), spec.map_shape[axis]) for axis in (0, 1)
    )
    return rows.stop, columns.stop


def covered(pool: Pool, axis: int, windows: range, size: int) -> range:
    """The rows or columns, of `size` before pooling, that lie in these windows."""
    before, step = pool.padding[axis], pool.stride[axis]
    start = windows.start * step - before
    stop = (windows.stop - 1) * step + pool.kernel[axis] - before
    return range(max(start, 0), min(stop, size))
