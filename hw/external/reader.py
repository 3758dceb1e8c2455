"""Reads a program's image over AXI4: bursts ahead of what is wanted, and never more than there is
room for."""

from amaranth import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import enum, stream
from amaranth.lib.data import ArrayLayout, View
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import Component, In, Out

from ..formats import Formats
from .axi import (
    ADDRESS_WIDTH,
    CACHEABLE,
    INCREMENTING,
    MOST_BEATS,
    PAGE,
    READ_PORTS,
    axi_members,
    longest_burst,
)
from .image import HEADER, MAGIC, VERSION, hardware_hash

PAGE_WIDTH = PAGE.bit_length() - 1


class Stage(enum.Enum):
    """IDLE: without a program. DRAIN: what was asked for before is still to come. HEADER: that is
    to come. CHECK: it is there. STREAM: tables and weights."""

    IDLE = 0
    DRAIN = 1
    HEADER = 2
    CHECK = 3
    STREAM = 4


class ProgramReader(Component):
    """An AXI4 master that reads. Gives the beats of the tables of the program at `base`, and then
    of its weights over and over; keeps up to `config.weight_words` words of them in advance.

    Bursts begin at multiples of their longest size, so none crosses a page of 4 KiB. One is asked
    for only when there is room for all of it: `rready` is always 1. After `load` or `restart` a
    burst that has been asked for is taken and forgotten first, as AXI demands.

    Members
    -------
    m_axi_… : the channels AR and R
    base : of the program's image, in bytes; its 12 low bits say nothing
    load : read the program anew, from `base`
    restart : the same, if a program has been asked for before, from where it was
    o_beats : tables and weights
    header : of the program, once `known`
    known : it is one for this hardware
    refused : it is not
    failed : a read was answered with an error; of a program that is known, sums may be wrong
    """

    def __init__(self, formats: Formats):
        config = formats.config
        self._hardware = int(hardware_hash(formats), 16)
        self._beat = config.external_width // 8
        self._room = max(config.weight_words * config.word_beats, 4)
        self._burst = longest_burst(self._beat, self._room)
        super().__init__(
            axi_members(READ_PORTS, "m_axi", config.external_width)
            | {
                "base": In(ADDRESS_WIDTH),
                "load": In(1),
                "restart": In(1),
                "o_beats": Out(stream.Signature(config.external_width)),
                "header": Out(HEADER),
                "known": Out(1),
                "refused": Out(1),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        starts = self.load | self.restart
        beats = SyncFIFOBuffered(width=8 * self._beat, depth=self._room)
        m.submodules.beats = ResetInserter(starts)(beats)
        self._stage, self._left = Signal(Stage), Signal(32)
        self._page = Signal(ADDRESS_WIDTH - PAGE_WIDTH)  # of the image
        self._next = Signal(ADDRESS_WIDTH)  # address of the next burst
        coming, wanted = Signal(range(self._room + MOST_BEATS)), Signal()
        come = self.m_axi_rvalid & self.m_axi_rready
        quiet = ~self.m_axi_arvalid & (coming == 0)
        asked = self._ask(m, starts)
        m.d.sync += coming.eq(coming + asked - come)
        m.d.comb += [
            self.m_axi_rready.eq(1),
            beats.w_data.eq(self.m_axi_rdata),
            beats.w_en.eq(come & (self._stage == Stage.STREAM)),
            self.o_beats.payload.eq(beats.r_data),
            self.o_beats.valid.eq(beats.r_rdy),
            beats.r_en.eq(self.o_beats.ready),
        ]
        with m.If(come & (self.m_axi_rresp != 0) & (self._stage != Stage.DRAIN)):
            m.d.sync += self.failed.eq(1)
        self._go_on(m, come, quiet, wanted)
        with m.If(starts):
            m.d.sync += [self._stage.eq(Stage.DRAIN), self._left.eq(0)]
            m.d.sync += [flag.eq(0) for flag in (self.known, self.refused, self.failed)]
        with m.If(self.load):
            m.d.sync += [wanted.eq(1), self._page.eq(self.base >> PAGE_WIDTH)]
        return m

    def _ask(self, m: Module, starts: Value) -> Signal:
        """Ask for the next burst; the beats that are asked for in this cycle."""
        claimed = Signal(range(self._room + 1))  # of the room
        size, asked = Signal(range(MOST_BEATS + 1)), Signal(range(MOST_BEATS + 1))
        streams = self._stage == Stage.STREAM
        m.d.comb += size.eq(Mux(self._left < self._burst, self._left, self._burst))
        free = (claimed + size <= self._room) | ~streams
        with m.If(~self.m_axi_arvalid | self.m_axi_arready):
            m.d.sync += self.m_axi_arvalid.eq(0)
            with m.If((self._left != 0) & free & ~starts):
                m.d.comb += asked.eq(size)
                m.d.sync += [
                    self.m_axi_arvalid.eq(1),
                    self.m_axi_araddr.eq(self._next),
                    self.m_axi_arlen.eq(size - 1),
                    self._next.eq(self._next + self._burst * self._beat),
                    self._left.eq(self._left - size),
                ]
        taken = self.o_beats.valid & self.o_beats.ready
        m.d.sync += claimed.eq(Mux(streams & ~starts, claimed + asked - taken, 0))
        m.d.comb += [
            self.m_axi_arsize.eq((self._beat - 1).bit_length()),
            self.m_axi_arburst.eq(INCREMENTING),
            self.m_axi_arcache.eq(CACHEABLE),
        ]
        return asked

    def _go_on(self, m: Module, come: Value, quiet: Value, wanted: Value) -> None:
        """From stage to stage; each asks for what lies in one piece."""
        header_beats = HEADER.size // 8 // self._beat
        beat = Signal(range(header_beats + 1))
        words = View(ArrayLayout(8 * self._beat, header_beats), self.header.as_value())
        with m.Switch(self._stage):
            with m.Case(Stage.DRAIN):
                m.d.sync += beat.eq(0)
                with m.If(quiet & wanted):
                    self._turn_to(m, 0, header_beats)
                    m.d.sync += self._stage.eq(Stage.HEADER)
                with m.Elif(quiet):
                    m.d.sync += self._stage.eq(Stage.IDLE)
            with m.Case(Stage.HEADER):
                with m.If(come):
                    m.d.sync += [words[beat].eq(self.m_axi_rdata), beat.eq(beat + 1)]
                with m.If(beat == header_beats):
                    m.d.sync += self._stage.eq(Stage.CHECK)
            with m.Case(Stage.CHECK):
                with m.If(self._suits() & ~self.failed):
                    self._turn_to(m, 1, self.header.table_beats)
                    m.d.sync += [self._stage.eq(Stage.STREAM), self.known.eq(1)]
                with m.Else():
                    m.d.sync += [self._stage.eq(Stage.IDLE), self.refused.eq(1)]
            with m.Case(Stage.STREAM):
                with m.If(self._left == 0):
                    self._turn_to(m, self.header.weight_page, self.header.weight_beats)

    def _turn_to(self, m: Module, page: object, beats: object) -> None:
        m.d.sync += [self._next.eq((self._page + page) << PAGE_WIDTH), self._left.eq(beats)]

    def _suits(self) -> Value:
        values = {"magic": MAGIC, "version": VERSION, "hardware": self._hardware}
        return Cat(self.header[name] == value for name, value in values.items()).all()
