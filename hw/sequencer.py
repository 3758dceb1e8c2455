"""Flow control of an accelerator: layers one after the other, one output position a cycle."""

from amaranth import Const, Module, Mux, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

from .descriptor import READ_LEVELS
from .formats import Formats
from .layer_table import layer_values
from .loops import Loops
from .pipeline import delay
from .program import Program
from .table import table


class Sequencer(Component):
    """Steps through the turns of every layer's reading loops, with the pauses that the array and
    the memories need, and then waits for the next image. With an external memory descriptors are
    written first, and a fold waits for its weights.

    Members
    -------
    last_layer : index of the last one
    go : an image is there, and nobody waits for the answer to the one before
    idle : the next turn is an image's first; `go` starts it
    step : this cycle is a turn, of which the next three are
    fold_starts : the first turn of a fold
    first, last : a turn of a reduction's first, last fold
    plane_starts : a turn of a plane's first fold
    plane : the turn of the planes
    group_ends : a turn of a pixel's last group of channels
    goes_on : as of `hw.loops.Loops`
    load : walks start anew with this cycle's `layer`
    layer : the descriptor; it changes, one cycle before `load`, when all codes of the layer
            before have been stored
    loaded, write, write_index, write_word : whether all descriptors are there, and of one; only
            with an external memory, as are the others
    weights_ready : a fold may start
    maps_ready : a layer may start
    starved : a fold of an image that is there does not start because of that
    """

    def __init__(self, program: Program, formats: Formats):
        self.program = program
        self.layout = formats.layer
        self._count = formats.layers
        self._external = program.config.external != "none"
        index = range(formats.layers)
        external = {
            **{"loaded": In(1), "write": In(1), "write_index": In(index)},
            **{"write_word": In(self.layout), "weights_ready": In(1), "starved": Out(1)},
            "maps_ready": In(1, init=1),
        }
        super().__init__(
            (external if self._external else {})
            | {
                "last_layer": In(index),
                "go": In(1),
                "idle": Out(1, init=1),
                "step": Out(1),
                "fold_starts": Out(1),
                "first": Out(1),
                "last": Out(1),
                "plane_starts": Out(1),
                "plane": Out(range(len(formats.planes))),
                "group_ends": Out(1),
                "goes_on": Out(len(READ_LEVELS)),
                "load": Out(1),
                "layer": Out(self.layout),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        levels = len(READ_LEVELS)
        turns = self.layout["read_limits"].shape.elem_shape
        m.submodules.loops = loops = Loops(levels, turns, self.program.config.stages)
        m.d.comb += [
            loops.load.eq(self.load),
            loops.step.eq(self.step),
            loops.limits.eq(self.layer.read_limits),
            self.goes_on.eq(loops.goes_on),
            self.fold_starts.eq(loops.firsts[:2].all()),
            self.first.eq(loops.firsts[2:6].all()),
            self.last.eq(loops.lasts[2:6].all()),
            self.plane_starts.eq(loops.firsts[2:5].all()),
            self.plane.eq(loops.turns[5]),
            self.group_ends.eq(loops.lasts[2]),
        ]
        self._pace(m, loops)
        return m

    def _pace(self, m: Module, loops: Loops) -> None:
        """A layer's last turn is followed by a drain, in which the next descriptor is read; a
        fold's by a rest. Reset is the drain before the first layer."""
        config = self.program.config
        wait = Signal(range(max(config.drain, config.shortest_pass)), init=config.drain - 1)
        init = 0 if self._external else self._count - 1
        drains, index = Signal(init=1), Signal(range(self._count), init=init)
        free = self._free()
        with m.If(self.step):
            m.d.sync += [self.idle.eq(0), drains.eq(0)]
            with m.If(loops.lasts.all()):
                m.d.sync += [
                    wait.eq(config.drain - 1),
                    drains.eq(1),
                    self.idle.eq(index == self.last_layer),
                ]
            with m.Elif(loops.lasts[:2].all()):
                m.d.sync += wait.eq(self.layer.rest)
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.If(drains & (wait == 3 + config.stages)):
            m.d.sync += index.eq(Mux(index == self.last_layer, 0, index + 1))
        m.d.comb += [
            self.step.eq((wait == 0) & (self.go | ~self.idle) & free),
            self.load.eq(drains & (wait == 1)),
        ]
        if self._external:
            m.d.comb += self.starved.eq((wait == 0) & (self.go | ~self.idle) & ~free)
            with m.If(~self.loaded):  # reset goes on
                m.d.sync += [wait.eq(config.drain - 1), index.eq(self.last_layer)]
        self._read_layers(m, index, drains & (wait == 2 + config.stages))

    def _free(self) -> Value:
        """No fold starts without its weights, and no layer without its maps."""
        if not self._external:
            return Const(1)
        return (self.weights_ready | ~self.fold_starts) & self.maps_ready

    def _read_layers(self, m: Module, index: Value, enable: Value) -> None:
        values = [layer_values(layer, self.layout) for layer in self.program.layers]
        count, stages = self._count, self.program.config.stages
        if not self._external:
            layer = table(m, "layers", self.layout, values, count, index, enable, stages)
        else:
            m.submodules.layers = layers = Memory(shape=self.layout, depth=count, init=[])
            read, write = layers.read_port(), layers.write_port()
            m.d.comb += [
                read.addr.eq(index),
                read.en.eq(enable),
                write.en.eq(self.write),
                write.addr.eq(self.write_index),
                write.data.eq(self.write_word),
            ]
            layer = delay(m, read.data, stages, "layer")
        m.d.comb += self.layer.eq(layer)
