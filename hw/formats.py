"""What an accelerator's hardware knows of its programs: the widths of what they say, and which
kinds of layers there are. A program from an external memory may be any that fits them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from amaranth import Shape
from amaranth.lib.data import ArrayLayout, StructLayout
from amaranth.utils import ceil_log2

from .accelerator_config import AcceleratorConfig
from .array_sums import Plane
from .factor import MULT_WIDTH
from .layer_table import layer_layout
from .program import Program
from .program_words import Constants
from .requantize import constant_layout

MOST_SHIFT = 63
MOST_PLACE = 31  # of a factor
MORE_BITS = 2  # of what is shifted, than the program that the hardware is made for


@dataclass(frozen=True, kw_only=True)
class Formats:
    """Follow from the program that the hardware is made for; with an external memory constants get
    room for other models of its shapes.

    layers: descriptors that there is room for. layer: of a descriptor. constants: as wide as
    there are. adds, signs, rounds, planes, code_width: as of `Program`. pool_columns: windows in
    the longest row. pool_shift: the largest. tiles: of the last layer. image_words: of
    the largest image.
    """

    config: AcceleratorConfig
    layers: int
    layer: StructLayout
    constants: Constants
    adds: bool
    signs: bool
    rounds: bool
    planes: tuple[Plane, ...]
    code_width: int
    pool_columns: int
    pool_shift: int
    tiles: int
    image_words: int

    @property
    def constant(self) -> ArrayLayout:
        """Of a word of the requantizer's memory."""
        layout = constant_layout(self.constants, self.config.requantize)
        return ArrayLayout(layout, self.config.array.cols)

    @property
    def settings(self) -> StructLayout:
        """What a program sets beside its words: see `settings_values`."""
        cols = self.config.array.cols
        return StructLayout(
            {
                "last_layer": range(self.layers),
                "last_constant": range(self.config.constant_words),
                "last_image_word": range(self.image_words),
                "last_filters": range(cols * self.tiles),
                "classes": range(cols * self.tiles + 1),
            }
            | ({"image_beats": 32} if self.config.external == "maps" else {})
        )

    @property
    def facts(self) -> dict[str, int]:
        """Everything that a program may have too much of, as messages name it."""
        return dict(self._facts())

    def check(self, program: Program) -> None:
        """ValueError when a program is not one of those that the hardware can run."""
        if program.config != self.config:
            raise ValueError(
                f"{program.name} must be compiled for the configuration of the hardware, "
                "sizes of memories included"
            )
        have = self.facts
        for name, value in exact_formats(program).facts.items():
            if value > have.get(name, 0):
                raise ValueError(
                    f"{program.name} needs {value} {name}, but the hardware has "
                    f"{have.get(name, 0)}; make the hardware for this program"
                )

    def _facts(self) -> Iterator[tuple[str, int]]:
        yield "layers", self.layers
        yield "added maps", int(self.adds)
        yield "binary layers", int(self.signs)
        yield "roundings of codes", int(self.rounds)
        yield "planes of weights", len(self.planes)
        yield "bits of a code", self.code_width
        yield "windows in a row", self.pool_columns
        yield "bits of a mean's shift", self.pool_shift
        yield "tiles of the last layer", self.tiles
        yield "words of an image", self.image_words
        yield from _widths_of(self.layer, "bits of a layer's")
        yield from _widths_of(self.constant.elem_shape, "bits of a filter's")


def hardware_formats(program: Program) -> Formats:
    """Of the hardware that is made for a program."""
    exact = exact_formats(program)
    if program.config.external == "none":
        return exact
    members = dict(exact.layer.members)
    members["pool_offset"] = program.config.map_width + exact.pool_shift
    return replace(
        exact,
        layers=2 ** ceil_log2(exact.layers),
        layer=StructLayout(members),
        constants=_with_room(exact.constants, program.config.requantize),
        image_words=2 ** ceil_log2(max(exact.image_words, program.config.activation_words)),
    )


def exact_formats(program: Program) -> Formats:
    """Those that are just large enough for a program."""
    layers = program.layers
    pool_columns = [one.given[1] for one in layers if one.pool.kernel[0] > 1]
    return Formats(
        config=program.config,
        layers=len(layers),
        layer=layer_layout(program),
        constants=program.constants,
        adds=program.adds,
        signs=program.signs,
        rounds=program.rounds,
        planes=program.planes,
        code_width=program.code_width,
        pool_columns=max(pool_columns, default=1),
        pool_shift=max(one.pool.shift for one in layers),
        tiles=layers[-1].tiles,
        image_words=program.image.words,
    )


def settings_values(program: Program) -> dict[str, int]:
    """The values of `Formats.settings`: the last index of each kind of word, the first class of the
    last tile, and how many classes there are."""
    last = program.layers[-1]
    return {
        "last_layer": len(program.layers) - 1,
        "last_constant": len(program.constants.offset) - 1,
        "last_image_word": program.image.words - 1,
        "last_filters": (last.tiles - 1) * program.config.array.cols,
        "classes": last.filters,
    } | ({"image_beats": program.image.words * program.config.map_beats} if program.maps else {})


def _with_room(constants: Constants, requantize: str) -> Constants:
    """Constants as wide as those of other models of the same shapes."""
    widest = (2 ** (MULT_WIDTH - 1) - 1 if requantize == "multiply" else 1) << MOST_PLACE
    factors = {
        name: np.append(values.ravel(), [widest, -widest])
        for name, values in constants.factors.items()
    }
    return replace(
        constants,
        shift=np.append(constants.shift.ravel(), MOST_SHIFT),
        factors=factors,
        total_width=constants.total_width + MORE_BITS,
    )


def _widths_of(shape: object, name: str) -> Iterator[tuple[str, int]]:
    if isinstance(shape, StructLayout):
        for member, inner in shape.members.items():
            yield from _widths_of(inner, f"{name} {member}")
    elif isinstance(shape, ArrayLayout):
        yield from _widths_of(shape.elem_shape, name)
    else:
        yield name, Shape.cast(shape).width
