"""The class of an image: the lowest index among its largest codes."""

from amaranth import Const, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.data import ArrayLayout
from amaranth.lib.wiring import Component, In, Out

from .pipeline import delay


def class_width(cols: int, tiles: int) -> int:
    """Bits of an index."""
    return max((cols * tiles - 1).bit_length(), 1)


class ArgMax(Component):
    """The index of the largest of tiles · cols codes, the lowest one if there are several.

    Codes come in tiles of cols. A tournament of one round a cycle finds each tile's winner, which
    then meets the best of the tiles before. The answer waits until it is taken; the codes of the
    next tiles may come only then. Latency from the last tile: ceil(log2 cols) + 1 cycles.

    Members
    -------
    codes : cols codes of `width` bits
    last_filters : the first index of the last tile; of `tiles` where nothing drives it
    valid : `codes` are those of the next tile
    o_class : the index
    """

    def __init__(self, cols: int, width: int, tiles: int):
        self.cols, self.tiles = cols, tiles
        super().__init__(
            {
                "codes": In(ArrayLayout(width, cols)),
                "last_filters": In(range(cols * tiles), init=(tiles - 1) * cols),
                "valid": In(1),
                "o_class": Out(stream.Signature(class_width(cols, tiles))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        code, index, rounds = self._tournament(m)
        valid = delay(m, self.valid, rounds, "valid", reset_less=False)
        first = Signal(range(self.cols * self.tiles))  # of the tile's indices
        best = Signal.like(code)
        with m.If(self.o_class.valid & self.o_class.ready):
            m.d.sync += self.o_class.valid.eq(0)
        with m.If(valid):
            m.d.sync += first.eq(first + self.cols)
            with m.If((first == 0) | (code > best)):
                m.d.sync += [best.eq(code), self.o_class.payload.eq(first + index)]
            with m.If(first == self.last_filters):
                m.d.sync += [first.eq(0), self.o_class.valid.eq(1)]
        return m

    def _tournament(self, m: Module) -> tuple[Value, Value, int]:
        """The largest code of a tile, its column, and the rounds it took."""
        players = [(self.codes[c], Const(c, range(self.cols))) for c in range(self.cols)]
        rounds = 0
        while len(players) > 1:
            winners = []
            for number, pair in enumerate(zip(players[::2], players[1::2], strict=False)):
                (code, index), (other, other_index) = pair
                loses, name = other > code, f"{rounds}_{number}"
                winners.append(
                    (
                        delay(m, Mux(loses, other, code), 1, f"code_{name}"),
                        delay(m, Mux(loses, other_index, index), 1, f"index_{name}"),
                    )
                )
            for code, index in players[len(players) // 2 * 2 :]:
                winners.append(
                    (delay(m, code, 1, f"code_{rounds}"), delay(m, index, 1, f"index_{rounds}"))
                )
            players, rounds = winners, rounds + 1
        return *players[0], rounds
