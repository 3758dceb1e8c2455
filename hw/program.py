"""A quantized network compiled for an accelerator: descriptors of layers and memories' contents."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from golden.spec import IMAGE, QuantizedModel

from .accelerator_config import AcceleratorConfig
from .allocation import (
    ImageColumns,
    check_sizes,
    image_columns,
    needed_words,
    place_layers,
)
from .array_sums import Plane, ordinary_planes
from .bands import in_bands
from .descriptor import LayerDescriptor, MapPlace
from .fit import check_fit
from .program_words import Constants, constant_words, weight_words


@dataclass(frozen=True, kw_only=True)
class Program:
    """What an accelerator runs. layers: or bands of them, in order. maps: where maps lie in an
    external memory, by name; empty without one for them. columns: how the image is unfolded, if it
    is. weights: (words, cols, lanes) in the order in which the array takes them, those of a layer's
    bands once. constants: the requantizer's, a word for each tile of filters, likewise.
    image_shape: (channels, rows, columns) as it comes.
    """

    config: AcceleratorConfig
    name: str
    layers: tuple[LayerDescriptor, ...]
    columns: ImageColumns | None
    weights: np.ndarray
    constants: Constants
    image_shape: tuple[int, int, int]
    maps: dict[str, MapPlace] = field(default_factory=dict)

    @property
    def image(self) -> MapPlace:
        return self.maps.get(IMAGE, self.layers[0].source)

    @property
    def word_bits(self) -> int:
        """Of a word of activations, as an image's words are too."""
        return self.config.map_width * self.config.channels

    @property
    def image_bytes(self) -> int:
        """Of an image's words, each filled up to whole bytes."""
        return self.image.words * -(-self.word_bits // 8)

    @property
    def classes(self) -> int:
        return self.layers[-1].filters

    @property
    def adds(self) -> bool:
        """Whether a layer adds a map."""
        return "residual_mult" in self.constants.factors

    @property
    def signs(self) -> bool:
        """Whether a layer takes signs."""
        return any(layer.kind == "xnor" for layer in self.layers)

    @property
    def rounds(self) -> bool:
        """Whether a layer takes fewer bits than the codes have."""
        return any(layer.rounds for layer in self.layers)

    @property
    def planes(self) -> tuple[Plane, ...]:
        """Of the layer that has most; without ordinary ones, or with products, there is one."""
        several = any(layer.planes > 1 for layer in self.layers)
        return ordinary_planes(self.config) if several else (Plane(0, 0, 0),)

    @property
    def code_width(self) -> int:
        """Bits of the requantizer's codes; the last layer's may be more than activations'."""
        return max(layer.highest for layer in self.layers).bit_length()

    def image_words(self, codes: np.ndarray) -> np.ndarray:
        """(words, channels) in the order in which the accelerator takes them, for an image's codes
        (channels, rows, columns). ValueError for codes of another shape, or out of range."""
        self._check_image(codes)
        columns, zero = self.columns or ImageColumns(), self.layers[0].in_zero
        side = (columns.padding, columns.padding)
        padded = np.pad(codes, ((0, 0), (0, 0), side), constant_values=zero)
        windows = sliding_window_view(padded, columns.kernel, axis=2)[:, :, :: columns.stride]
        pixels = windows[:, :, : self.image.shape[2]].transpose(1, 2, 3, 0)
        return fill_words(pixels.reshape(-1, self.image.shape[0]), self.config.channels, zero)

    def _check_image(self, codes: np.ndarray) -> None:
        highest = 2 ** self.layers[0].in_width - 1
        if codes.shape != self.image_shape:
            raise ValueError(f"an image must be codes of {self.image_shape}, not {codes.shape}")
        if codes.min() < 0 or codes.max() > highest:
            raise ValueError(
                f"an image's codes must be from 0 to {highest}, not from {codes.min()} to "
                f"{codes.max()}"
            )

    @property
    def busy_cycles(self) -> int:
        """From an image's first address to its last."""
        return self.start(len(self.layers) - 1) + self.layers[-1].cycles - self.image.words

    def start(self, index: int) -> int:
        """Cycle of a layer's first address, the image's first word being in cycle 0, under the
        same conditions as `cycles`."""
        before = self.layers[:index]
        return self.image.words + sum(one.cycles + self.config.drain - 1 for one in before)

    @property
    def cycles(self) -> int:
        """From the first word of an image to its answer, both cycles included, for words that come
        one a cycle to an accelerator that is idle (after reset: for `config.drain` cycles)."""
        return self.image.words + self.busy_cycles + self.config.answer_latency

    @property
    def interval(self) -> int:
        """Cycles from answer to answer, for images that are there and answers that are taken."""
        config = self.config
        between = max(self.image.words + 1, config.drain, config.answer_latency + 1)
        return self.busy_cycles - 1 + between

    @property
    def useful_terms(self) -> int:
        """Terms of an image's sums; a channel that only fills up a word is none."""
        return sum(
            layer.positions * layer.filters * layer.source.shape[0] * int(np.prod(layer.kernel))
            for layer in self.layers
        )

    @property
    def utilization(self) -> float:
        """Useful PE-cycles ÷ (PEs × interval)."""
        array = self.config.array
        return self.useful_terms / (array.rows * array.cols * array.lanes * self.interval)


def compile_model(model: QuantizedModel, config: AcceleratorConfig) -> Program:
    """The program of a model. ValueError, with the numbers and what would do, when the model has
    what the accelerator cannot run, or does not fit."""
    check_fit(model, config)
    whole = place_layers(model, config)
    external = config.external == "maps"
    layers = in_bands(whole) if external else whole
    check_sizes(model, layers)
    weights = [weight_words(layer, d) for layer, d in zip(model.layers, whole, strict=True)]
    places = [whole[0].source, *(layer.target for layer in whole if layer.target)]
    return Program(
        config=config,
        name=model.name,
        layers=layers,
        maps={place.name: place for place in places} if external else {},
        columns=image_columns(model, config),
        weights=np.concatenate(weights),
        constants=constant_words(model, whole),
        image_shape=model.in_shape,
    )


def fill_words(pixels: np.ndarray, channels: int, zero: int) -> np.ndarray:
    """(words, channels) of pixels (pixels, any channels); the last word of each is filled up with
    the code of zero."""
    missing = -pixels.shape[1] % channels
    return np.pad(pixels, ((0, 0), (0, missing)), constant_values=zero).reshape(-1, channels)


def memory_map(program: Program) -> str:
    """A table of where everything lies: the memories, the maps, and each layer's words."""
    return "\n".join(_map_lines(program))


def _map_lines(program: Program) -> Iterator[str]:
    targets = [layer.target for layer in program.layers if layer.target]
    maps = program.maps.values() or [program.image, *targets]
    yield f"{'memory':16} {'used':>8} {'words':>8}"
    for name, words in needed_words(program.layers).items():
        yield f"{name.removesuffix('_words'):16} {words:8} {getattr(program.config, name):8}"
    yield ""
    what = "external map" if program.maps else "map"
    yield f"{what:16} {'shape':>14} {'words':>15}"
    for place in maps:
        yield f"{place.name:16} {_sizes(place.shape):>14} {_span(place.base, place.words):>15}"
    yield ""
    yield f"{'layer':16} {'takes':16} {'tiles × folds':>14} {'weights':>15} {'constants':>15}"
    for layer in program.layers:
        yield (
            f"{layer.name:16} {layer.source.name:16} {_sizes((layer.tiles, layer.folds)):>14} "
            f"{_span(layer.weight_base, layer.weight_words):>15} "
            f"{_span(layer.constant_base, layer.tiles):>15}"
        )


def _sizes(sizes: tuple[int, ...]) -> str:
    return " × ".join(map(str, sizes))


def _span(base: int, words: int) -> str:
    return f"{base} – {base + words - 1}"
