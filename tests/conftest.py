import os
from functools import reduce
from operator import or_
from types import SimpleNamespace

import pytest

# As adderforge.cli does, before PyTorch is imported: waiting threads sleep instead of spinning.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture
def collisions_spoil(monkeypatch):
    """Memories from which a word that is read while it is written comes wrong in every bit."""
    from amaranth import Module, Mux, Signal, Value
    from amaranth.lib.memory import Memory

    class Spoiled(Memory):
        def read_port(self):
            port = super().read_port()
            seen = SimpleNamespace(addr=port.addr, en=port.en, data=Signal(self.shape))
            self._seen = [*getattr(self, "_seen", ()), (port, seen.data)]
            return seen

        def elaborate(self, platform):
            m = Module()
            m.submodules.memory = super().elaborate(platform)
            for port, seen in self._seen:
                hits = [(one.en != 0) & (one.addr == port.addr) for one in self.write_ports]
                collides, data = Signal(), Value.cast(port.data)
                with m.If(port.en):
                    m.d.sync += collides.eq(reduce(or_, hits, 0))
                m.d.comb += Value.cast(seen).eq(Mux(collides, ~data, data))
            return m

    for name in ("memories", "pooling", "fold_memory"):
        monkeypatch.setattr(f"hw.{name}.Memory", Spoiled)
