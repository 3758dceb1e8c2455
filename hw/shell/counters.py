"""What a shell counts: images, cycles of the last image and of each of its layers, waiting."""

from amaranth import Module, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out

BITS = 32


class Counters(Component):
    """Performance counters of `layers` layers, 32 bits each, which wrap.

    Members
    -------
    last_layer : of the program; of `layers` where nothing drives it
    clear : all but those of the last image and its layers start anew
    idle : no layer runs
    layer_starts : in the next cycle the first turn of the next layer may come
    answered : an image was answered
    refused : and its packet was malformed
    stalled : an answer is not taken in this cycle
    starved : an image waits for weights in this cycle
    images, refusals, image_cycles, waited, stalls, starvation : the counts
    layer : whose count is asked for
    layer_cycles : that count, one cycle later
    """

    def __init__(self, layers: int):
        self.layers = layers
        counts = ("images", "refusals", "image_cycles", "waited", "stalls", "starvation")
        flags = ("clear", "idle", "layer_starts", "answered", "refused", "stalled", "starved")
        super().__init__(
            {"last_layer": In(range(layers), init=layers - 1)}
            | {name: In(1) for name in flags}
            | {name: Out(BITS) for name in counts}
            | {"layer": In(range(layers)), "layer_cycles": Out(BITS)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        events = {
            "images": self.answered,
            "refusals": self.answered & self.refused,
            "waited": self.idle,
            "stalls": self.stalled,
            "starvation": self.starved,
        }
        for name, event in events.items():
            count = getattr(self, name)
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(event):
                m.d.sync += count.eq(count + 1)
        self._count_cycles(m)
        return m

    def _count_cycles(self, m: Module) -> None:
        """Of the image and of its layer that run; a layer ends when the next may start."""
        image, layer, index = Signal(BITS), Signal(BITS), Signal(range(self.layers))
        image_now, layer_now = Signal(BITS), Signal(BITS)
        ends = self.layer_starts & (layer != 0)
        m.d.comb += [image_now.eq(image + ~self.idle), layer_now.eq(layer + ~self.idle)]
        m.d.sync += [image.eq(image_now), layer.eq(layer_now)]
        with m.If(ends):
            m.d.sync += [layer.eq(0), index.eq(index + 1)]
            with m.If(index == self.last_layer):
                m.d.sync += [image.eq(0), index.eq(0), self.image_cycles.eq(image_now)]
        self._keep(m, index, layer_now, ends)

    def _keep(self, m: Module, index: Signal, layer: Signal, ends: Value) -> None:
        m.submodules.memory = memory = Memory(shape=BITS, depth=self.layers, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.d.comb += [
            write.en.eq(ends),
            write.addr.eq(index),
            write.data.eq(layer),
            read.addr.eq(self.layer),
            self.layer_cycles.eq(read.data),
        ]
