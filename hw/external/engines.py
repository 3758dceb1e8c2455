"""Reads and writes stretches of an external memory, in bursts: one stretch at a time."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out

from .axi import (
    ADDRESS_WIDTH,
    CACHEABLE,
    COMMAND,
    INCREMENTING,
    MOST_BEATS,
    READ_PORTS,
    WRITE_PORTS,
    axi_members,
    longest_burst,
)


class Reading(Component):
    """An AXI4 master that reads. After `restart` what has been asked for is taken and forgotten.

    Members
    -------
    axi_… : the channels AR and R
    base : from which a stretch's place counts
    restart : forget what was to be read
    i_command : the next stretch; taken when the last beat of the one before has come
    o_beats : what was read; whoever asked takes every beat as it comes
    failed : a read was answered with an error since `restart`
    """

    def __init__(self, width: int):
        self._beat = width // 8
        super().__init__(
            axi_members(READ_PORTS, "axi", width)
            | {
                "base": In(ADDRESS_WIDTH),
                "restart": In(1),
                "i_command": In(stream.Signature(COMMAND)),
                "o_beats": Out(stream.Signature(width, always_ready=True)),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bursts = _Bursts(m, self, "ar", self._beat)
        coming, forgets = Signal(32), Signal()
        come = self.axi_rvalid & self.axi_rready
        m.d.sync += coming.eq(coming + bursts.asked - come)
        quiet = bursts.quiet & (coming == 0)
        m.d.comb += [
            self.axi_rready.eq(1),
            self.i_command.ready.eq(quiet & ~forgets),
            self.o_beats.valid.eq(come & ~forgets),
            self.o_beats.payload.eq(self.axi_rdata),
        ]
        with m.If(come & ~forgets & (self.axi_rresp != 0)):
            m.d.sync += self.failed.eq(1)
        with m.If(self.restart):
            m.d.sync += [forgets.eq(1), self.failed.eq(0)]
        with m.Elif(quiet):
            m.d.sync += forgets.eq(0)
        return m


class Writing(Component):
    """An AXI4 master that writes. After `restart` the burst that has begun ends with beats that
    change nothing, behind one that is on offer already.

    Members
    -------
    axi_… : the channels AW, W and B
    base, restart, failed : as of `Reading`
    i_command : the next stretch; taken when all of the one before has been written
    i_beats : what is to be written
    """

    def __init__(self, width: int):
        self._beat = width // 8
        super().__init__(
            axi_members(WRITE_PORTS, "axi", width)
            | {
                "base": In(ADDRESS_WIDTH),
                "restart": In(1),
                "i_command": In(stream.Signature(COMMAND)),
                "i_beats": In(stream.Signature(width)),
                "failed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        owed, answers, forgets = Signal(range(MOST_BEATS + 1)), Signal(16), Signal()
        sent = self.axi_wvalid & self.axi_wready
        bursts = _Bursts(m, self, "aw", self._beat, free=(owed == 0) & ~answers[-1])
        begun = bursts.asked != 0
        answered = self.axi_bvalid & self.axi_bready
        quiet = bursts.quiet & (owed == 0) & (answers == 0)
        m.d.sync += [
            owed.eq(owed + bursts.asked - sent),
            answers.eq(answers + begun - answered),
        ]
        m.d.comb += [
            self.axi_wlast.eq(owed == 1),
            self.axi_bready.eq(1),
            self.i_beats.ready.eq((owed != 0) & ~forgets & self.axi_wready),
            self.i_command.ready.eq(quiet & ~forgets),
        ]
        self._offer(m, (owed != 0) & (forgets | self.i_beats.valid), forgets)
        with m.If(answered & ~forgets & (self.axi_bresp != 0)):
            m.d.sync += self.failed.eq(1)
        with m.If(self.restart):
            m.d.sync += [forgets.eq(1), self.failed.eq(0)]
        with m.Elif(quiet):
            m.d.sync += forgets.eq(0)
        return m

    def _offer(self, m: Module, valid: Value, forgets: Value) -> None:
        """A beat, which stays as it is until it is taken, whatever becomes of `i_beats`."""
        beat = Cat(self.i_beats.payload, (~forgets).replicate(len(self.axi_wstrb)))
        kept, waits = Signal.like(beat), Signal()
        with m.If(~waits):
            m.d.sync += kept.eq(beat)
        m.d.sync += waits.eq(self.axi_wvalid & ~self.axi_wready)
        m.d.comb += [
            self.axi_wvalid.eq(waits | valid),
            Cat(self.axi_wdata, self.axi_wstrb).eq(Mux(waits, kept, beat)),
        ]


class _Bursts:
    """The address channel of an engine: asks for a command's bursts, none across a multiple of its
    longest size. asked: beats that are asked for in this cycle. quiet: there is nothing to ask."""

    def __init__(self, m: Module, engine: Component, channel: str, beat: int, free: Value = 1):
        longest, shift = longest_burst(beat), (beat - 1).bit_length()
        at, left, size = Signal(32), Signal(32), Signal(range(longest + 1))
        port = {name: getattr(engine, f"axi_{channel}{name}") for name in ("addr", "len", "valid")}
        ready = getattr(engine, f"axi_{channel}ready")
        until = longest - (at & (longest - 1))
        self.asked = asked = Signal(range(longest + 1))
        self.quiet = (left == 0) & ~port["valid"]
        m.d.comb += [
            size.eq(Mux(left < until, left, until)),
            getattr(engine, f"axi_{channel}size").eq(shift),
            getattr(engine, f"axi_{channel}burst").eq(INCREMENTING),
            getattr(engine, f"axi_{channel}cache").eq(CACHEABLE),
        ]
        with m.If(~port["valid"] | ready):
            m.d.sync += port["valid"].eq(0)
            with m.If((left != 0) & free & ~engine.restart):
                m.d.comb += asked.eq(size)
                m.d.sync += [
                    port["valid"].eq(1),
                    port["addr"].eq(engine.base + (at << shift)),
                    port["len"].eq(size - 1),
                    at.eq(at + size),
                    left.eq(left - size),
                ]
        with m.If(engine.i_command.valid & engine.i_command.ready):
            m.d.sync += [
                at.eq(engine.i_command.payload.at),
                left.eq(engine.i_command.payload.beats),
            ]
        with m.If(engine.restart):
            m.d.sync += left.eq(0)
