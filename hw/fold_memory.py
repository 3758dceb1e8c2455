"""The memory below a weight-stationary array, which adds up the folds of long reductions."""

from amaranth import Module, Mux, Signal
from amaranth.lib.data import ArrayLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from .config import ArrayConfig
from .pipeline import delay


class FoldMemory(Component):
    """Adds up the folds of a reduction, position by position. The sum of a position can be read
    anew 4 cycles after it was read (`hw.weight_schedule.TURNAROUND`).
    Block RAM on FPGAs; cell libraries have no memories, so synthesis makes it of flip-flops there.

    Members
    -------
    swap : the next operands are those of position 0
    active : two cycles later `folds` are the sums of a position, and then of the next position
    first, last : they are those of a reduction's first, last fold
    double : they are added to twice the sums so far; only if the memory `doubles`
    folds : one fold's sums, columns × tile_width bits
    sums : sums of the folds so far, columns × pe_acc_width bits, one cycle after `folds`
    valid : `sums` are those of all folds
    """

    def __init__(self, config: ArrayConfig, columns: int, doubles: bool = False):
        self.config, self._doubles = config, doubles
        super().__init__(
            ({"double": In(1)} if doubles else {})
            | {
                "swap": In(1),
                "active": In(1),
                "first": In(1),
                "last": In(1),
                "folds": In(ArrayLayout(config.tile_width, columns)),
                "sums": Out(ArrayLayout(config.pe_acc_width, columns)),
                "valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        place = Signal(range(config.positions))
        with m.If(self.swap):
            m.d.sync += place.eq(0)
        with m.Elif(self.active):
            m.d.sync += place.eq(place + 1)
        width = config.pe_acc_width
        memory = Memory(shape=len(self.sums.as_value()), depth=config.positions, init=[])
        m.submodules.memory = memory
        read, write = memory.read_port(), memory.write_port()
        active = delay(m, self.active, 2, "active", reset_less=False)
        first, last = delay(m, self.first, 2, "first"), delay(m, self.last, 2, "last")
        sums = Signal(self.sums.shape(), name="sums_register", reset_less=True)
        before = Mux(first, 0, delay(m, read.data, 1, "read"))  # block RAM is slow to answer
        if self._doubles:
            double = delay(m, self.double, 2, "double")
        for c in range(len(self.sums)):
            old = before.word_select(c, width)
            if self._doubles:
                old = Mux(double, old << 1, old)
            fold = self.folds[c].as_signed() if config.weight_signed else self.folds[c]
            m.d.sync += sums[c].eq(old + fold)
        m.d.comb += [
            read.addr.eq(place),
            write.addr.eq(delay(m, place, 3, "place")),
            write.en.eq(delay(m, active, 1, "active_again")),
            write.data.eq(sums),
            self.sums.eq(sums),
            self.valid.eq(delay(m, active & last, 1, "valid", reset_less=False)),
        ]
        return m
