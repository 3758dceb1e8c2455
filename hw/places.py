"""Where codes lie: an accelerator's walks over the maps of the layer that runs."""

from amaranth import Module, Signal, Value
from amaranth.lib.data import StructLayout, View

from .descriptor import WRITE_LEVELS
from .loops import Loops, Walk
from .pipeline import delay
from .sequencer import Sequencer


class Places:
    """Adds to a module the loops and walks that follow the sequencer's descriptor. stages: of
    `hw.accelerator_config.AcceleratorConfig`, cycles by which each is late."""

    def __init__(self, m: Module, sequencer: Sequencer, stages: int) -> None:
        self._m, self._sequencer, self._stages = m, sequencer, stages

    def walk(self, name: str, step: Value, goes_on: Value) -> Value:
        """The value of the descriptor's walk of this name, `stages` cycles after the turn."""
        m, stages = self._m, self._stages
        field = self._sequencer.layer[name]
        m.submodules[f"{name}_walk"] = walk = Walk(len(goes_on), len(field.start))
        m.d.comb += [
            walk.load.eq(delay(m, self._sequencer.load, stages, f"{name}_load")),
            walk.step.eq(delay(m, step, stages, f"{name}_step")),
            walk.goes_on.eq(delay(m, goes_on, stages, f"{name}_goes_on")),
            walk.start.eq(field.start),
            walk.steps.eq(field.steps),
        ]
        return walk.value

    def over_map(self, name: str, step: Value) -> tuple[Loops, Value]:
        """The descriptor's loops of this name over a map, and the address of their word."""
        m, limits = self._m, self._sequencer.layer[f"{name}_limits"]
        width = limits.shape().elem_shape
        m.submodules[f"{name}_loops"] = loops = Loops(len(limits), width, self._stages)
        m.d.comb += [
            loops.limits.eq(limits),
            loops.load.eq(self._sequencer.load),
            loops.step.eq(step),
        ]
        return loops, self.walk(name, step, loops.goes_on)

    def of_sums(self, valid: Value) -> View:
        """Where the sums belong that left the array `stages` cycles before."""
        m, stages = self._m, self._stages
        loops, added = self.over_map("added", valid)
        column, row, part, _ = range(len(WRITE_LEVELS))
        flags = {
            "valid": valid,
            "part": loops.turns[part],
            "first_column": loops.firsts[column],
            "last_column": loops.lasts[column],
            "first_row": loops.firsts[row],
            "last_row": loops.lasts[row],
            "tile_starts": valid & loops.firsts[:part].all(),
            "tile_ends": valid & loops.lasts[:part].all(),
        }
        values = {"added": added} | {
            name: delay(m, flag, stages, name, reset_less=False) for name, flag in flags.items()
        }
        place = Signal(StructLayout({name: value.shape() for name, value in values.items()}))
        m.d.comb += [place[name].eq(value) for name, value in values.items()]
        return place
