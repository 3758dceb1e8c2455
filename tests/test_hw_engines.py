"""The AXI master that writes maps, in Amaranth's simulator, restarted at any time."""

import random

import pytest
from amaranth.sim import Simulator

from hw.external.engines import Writing

PAYLOADS = {"aw": ("addr", "len"), "w": ("data", "strb", "last")}


class Bench:
    """A source of commands and their beats, which withdraws them at a restart, and a memory that
    pauses. restarts: of how many commands; never of the last. ready: share of cycles in which the
    memory takes what is offered.

    taken: bursts and beats, by the channel. kept: what must be there by place, of commands that
    have ended. withdrawn: offers that changed before they were taken."""

    def __init__(self, restarts, ready, commands=12):
        self.dut, self.random, self.ready = Writing(32), random.Random(0), ready
        self.taken, self.kept, self.withdrawn = {"aw": [], "w": []}, {}, []
        self._commands, self._restarts = commands, restarts
        self._offers, self._lasts, self._answers = {}, 0, 0
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self._drive)
        simulator.run()

    async def _drive(self, ctx):
        rng = self.random
        for left in reversed(range(self._commands)):
            at, count = rng.randrange(230, 270), 1 + rng.randrange(30)  # a burst ends at 256
            beats = [rng.getrandbits(32) for _ in range(count)]
            ends = rng.randrange(2 * count) if left and rng.random() < self._restarts else None
            for place in range(at, at + count):
                self.kept.pop(place, None)
            ctx.set(self.dut.i_command.payload, {"at": at, "beats": count})
            if await self._write(ctx, beats, ends):
                self.kept |= dict(enumerate(beats, at))

    async def _write(self, ctx, beats, ends):
        """Whether all is written; it is not if a restart comes first, in cycle `ends`."""
        command, source, asked, sent, cycle = self.dut.i_command, self.dut.i_beats, False, 0, 0
        while True:
            restarts = cycle == ends
            offers = asked and sent < len(beats) and not restarts
            ctx.set(self.dut.restart, int(restarts))
            ctx.set(command.valid, int(not asked and not restarts))
            ctx.set(source.valid, int(offers))
            ctx.set(source.payload, beats[sent] if offers else 0)
            self._pause(ctx)
            ready, takes = ctx.get(command.ready), offers and ctx.get(source.ready)
            self._monitor(ctx)
            if asked and ready and not restarts:
                return True
            await ctx.tick()
            if restarts:
                return False
            asked, sent, cycle = asked or ready, sent + takes, cycle + bool(asked)

    def _pause(self, ctx):
        """What the memory does in this cycle; it answers a burst after its last beat."""
        for channel in self.taken:
            ctx.set(
                getattr(self.dut, f"axi_{channel}ready"), int(self.random.random() < self.ready)
            )
        owed = min(self._lasts, len(self.taken["aw"])) - self._answers
        ctx.set(self.dut.axi_bvalid, int(owed > 0))
        self._answers += owed > 0

    def _monitor(self, ctx):
        for channel, names in PAYLOADS.items():
            valid, ready, *payload = (
                ctx.get(getattr(self.dut, f"axi_{channel}{name}"))
                for name in ("valid", "ready", *names)
            )
            before, now = self._offers.get(channel), payload if valid else None
            if before not in (None, now):
                self.withdrawn.append((channel, before, now))
            self._offers[channel] = None if ready else now
            if now and ready:
                self.taken[channel].append(payload)
                self._lasts += channel == "w" and payload[-1]


def written(bench):
    """The memory that the bursts leave; each must have as many beats as it says."""
    memory, beats = {}, iter(bench.taken["w"])
    for address, length in bench.taken["aw"]:
        for place in range(address // 4, address // 4 + length + 1):
            data, strobes, last = next(beats)
            assert last == (place == address // 4 + length)
            if strobes:
                memory[place] = data
    return memory


@pytest.mark.parametrize("ready", [1.0, 0.3])
@pytest.mark.parametrize("restarts", [0, 0.5])
def test_what_is_offered_stays_and_all_that_ends_is_written(restarts, ready):
    bench = Bench(restarts, ready)
    assert not bench.withdrawn, bench.withdrawn[0]
    memory = written(bench)
    assert bench.kept and {place: memory.get(place) for place in bench.kept} == bench.kept
