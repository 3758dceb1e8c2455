"""Layers in bands of rows, for maps that lie in an external memory: a band's rows come into the
memory of activations, with those around them that its kernel takes, and what it gives goes out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from .descriptor import LayerDescriptor, MapPlace, Transfer, covered


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Rows of a map: the first, and how many."""

    place: MapPlace
    first: int
    count: int

    @property
    def words(self) -> int:
        return self.count * self.place.row_words

    def inside(self, base: int) -> MapPlace:
        """Where they lie in the memory of activations."""
        channels, _, columns = self.place.shape
        return replace(self.place, base=base, shape=(channels, self.count, columns))

    def transfer(self, base: int) -> Transfer:
        at = self.place.base + self.first * self.place.row_words
        return Transfer(at=at, place=base, words=self.words)


def in_bands(layers: tuple[LayerDescriptor, ...]) -> tuple[LayerDescriptor, ...]:
    """The bands of layers whose maps lie in the external memory, in order. Bands of a layer have
    its name, weights and constants. ValueError when a row does not fit."""
    result, store = [], Transfer()
    for layer in layers:
        for first, count in _splits(layer):
            band, given = _band(layer, first, count)
            result.append(replace(band, store=store))
            store = given
    return tuple(result)


def least_words(layers: tuple[LayerDescriptor, ...]) -> int:
    """Of activations, that bands of one row need."""
    rows = ((layer, first) for layer in layers for first in range(_given_rows(layer)))
    return max(_words(layer, first, 1) for layer, first in rows)


def _splits(layer: LayerDescriptor) -> Iterator[tuple[int, int]]:
    """First row and rows of each band's output after pooling: as few bands as the memories of
    activations and of sums allow, as equal as they can be."""
    total, words = _given_rows(layer), layer.config.activation_words
    positions = layer.config.array.positions
    for bands in range(1, total + 1):
        count = math.ceil(total / bands)
        firsts = range(0, total, count)
        sizes = [(first, min(count, total - first)) for first in firsts]
        longest = max(len(_computed(layer, *one)) for one in sizes)
        fits = longest * layer.size[1] <= positions
        if fits and all(_words(layer, *one) <= words for one in sizes):
            yield from sizes
            return
    needed = least_words((layer,))
    raise ValueError(
        f"layer {layer.name!r} needs {needed} activation_words for a row of its maps, but the "
        f"accelerator has {words}; set activation_words to at least {needed}"
    )


def _given_rows(layer: LayerDescriptor) -> int:
    return layer.given[0]


def _computed(layer: LayerDescriptor, first: int, count: int) -> range:
    """Rows before pooling."""
    return covered(layer.pool, 0, range(first, first + count), layer.size[0])


def _words(layer: LayerDescriptor, first: int, count: int) -> int:
    return sum(rows.words for rows in _parts(layer, first, count))


def _parts(layer: LayerDescriptor, first: int, count: int) -> list[_Rows]:
    """What a band takes, adds and gives, of those that there are."""
    computed, stride, above = _computed(layer, first, count), layer.stride[0], layer.padding[0]
    start = computed.start * stride - above
    stop = computed[-1] * stride - above + layer.kernel[0]
    start, stop = max(start, 0), min(stop, layer.source.shape[1])
    parts = [_Rows(place=layer.source, first=start, count=stop - start)]
    if layer.residual:
        rows = {"first": computed.start, "count": len(computed)}
        parts.append(_Rows(place=layer.residual, **rows))
    if layer.target:
        parts.append(_Rows(place=layer.target, first=first, count=count))
    return parts


def _band(layer: LayerDescriptor, first: int, count: int) -> tuple[LayerDescriptor, Transfer]:
    """The band, and the transfer of what it gives."""
    parts, base, places = _parts(layer, first, count), 0, []
    for part in parts:
        places.append((part.inside(base), part.transfer(base)))
        base += part.words
    names = ["source", *["residual"] * bool(layer.residual), *["target"] * bool(layer.target)]
    found = dict(zip(names, places, strict=True))
    computed, pool, none = _computed(layer, first, count), layer.pool, (None, Transfer())
    above = max(layer.padding[0] - computed.start * layer.stride[0], 0)
    before = max(pool.padding[0] - first * pool.stride[0], 0)
    band = replace(
        layer,
        source=found["source"][0],
        residual=found.get("residual", none)[0],
        target=found.get("target", none)[0],
        padding=(above, layer.padding[1]),
        size=(len(computed), layer.size[1]),
        pool=replace(pool, padding=(before, pool.padding[1])),
        fetch=found["source"][1],
        fetch_added=found.get("residual", none)[1],
    )
    return band, found.get("target", none)[1]
