"""Weights that come over the line, in memory that a bitstream does not fill."""

from amaranth import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from ..program import Program
from .protocol import CHUNK
from .weight_cells import CELL_BITS, weight_chunks, weight_columns

SPRAM_WORDS = 2**14  # of iCE40 UltraPlus, which has four of 16 bits
SPRAMS = 4


def fits_spram(program: Program) -> bool:
    """Whether the weights fit the single-port RAM of iCE40 UltraPlus."""
    columns = weight_columns(program)
    cells = CHUNK * len(weight_chunks(program))
    return columns <= SPRAMS and cells <= columns * SPRAM_WORDS


class WeightStore(Component):
    """Takes chunks of cells, one after the other from number 0 on, which begins anew, and gives
    words. A chunk that is spoilt may be given again, until the next one begins.

    spram: of iCE40 UltraPlus' single-port RAM, which the weights must fit (`fits_spram`). Otherwise
    of whatever synthesis makes of a memory.

    Members
    -------
    number : of the chunk whose cells come
    starts : they come from the next cycle on
    write, cell : a cell comes
    ends : all its cells have come, undamaged
    wanted : `number` is that of the next chunk, or of the one before
    loaded : all chunks have come
    address : of the word to read, while nothing is written
    word : that word, one cycle later
    """

    def __init__(self, program: Program, spram: bool = False):
        self._columns, self._chunks = weight_columns(program), len(weight_chunks(program))
        self._words = -(-self._chunks * CHUNK // self._columns)
        self._spram = spram
        super().__init__(
            {
                "number": In(16),
                "starts": In(1),
                "write": In(1),
                "cell": In(CELL_BITS),
                "ends": In(1),
                "wanted": Out(1),
                "loaded": Out(1),
                "address": In(range(len(program.weights))),
                "word": Out(self._columns * CELL_BITS),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        due, again = Signal(range(self._chunks + 1)), Signal()
        begin, first = Signal(range(self._words)), Signal(range(self._columns))
        place, column = Signal.like(begin), Signal.like(first)
        m.d.comb += [
            self.wanted.eq((self.number == due) | again),
            again.eq(self.number + 1 == due),
            self.loaded.eq(due == self._chunks),
        ]
        with m.If(self.starts):
            m.d.sync += [place.eq(begin), column.eq(first)]
            with m.If(self.number == 0):
                m.d.sync += [due.eq(0), begin.eq(0), first.eq(0), place.eq(0), column.eq(0)]
        with m.Elif(self.write):
            ends_word = column == self._columns - 1
            m.d.sync += [column.eq(Mux(ends_word, 0, column + 1)), place.eq(place + ends_word)]
        with m.If(self.ends & (self.number == due)):
            m.d.sync += [due.eq(due + 1), begin.eq(place), first.eq(column)]
        writes = self.write & (self.number == due)
        enable = Cat(writes & (column == index) for index in range(self._columns))
        address = Mux(self.write, place, self.address)
        memory = self._add_sprams if self._spram else self._add_memory
        m.d.comb += self.word.eq(memory(m, address, enable))
        return m

    def _add_memory(self, m: Module, address: Value, enable: Value) -> Value:
        m.submodules.memory = memory = Memory(shape=len(self.word), depth=self._words, init=[])
        read, write = memory.read_port(), memory.write_port(granularity=CELL_BITS)
        m.d.comb += [
            read.addr.eq(address),
            write.addr.eq(address),
            write.data.eq(self.cell.replicate(self._columns)),
            write.en.eq(enable),
        ]
        return read.data

    def _add_sprams(self, m: Module, address: Value, enable: Value) -> Value:
        words = []
        for column in range(self._columns):
            words.append(word := Signal(CELL_BITS, name=f"word_{column}"))
            m.submodules[f"spram_{column}"] = Instance(
                "SB_SPRAM256KA",
                i_CLOCK=ClockSignal(),
                i_ADDRESS=Cat(address, Const(0, 14))[:14],
                i_DATAIN=self.cell,
                i_MASKWREN=Const(15, 4),
                i_WREN=enable[column],
                i_CHIPSELECT=Const(1, 1),
                i_STANDBY=Const(0, 1),
                i_SLEEP=Const(0, 1),
                i_POWEROFF=Const(1, 1),  # active low
                o_DATAOUT=word,
            )
        return Cat(words)
