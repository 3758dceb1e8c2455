"""What an iCE40 UP5K draws: how the figures of `hw.up5k` follow from currents that were measured,
and what accelerators take of it.

python benchmarks/up5k_energy.py            the figures, and how they depend on routing
python benchmarks/up5k_energy.py --write    accelerators too; writes docs/results/up5k-energy.md
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from adderforge.contenders import Effort as Counts
from adderforge.exploration.accelerators import block_rams_of, compiled, in_spram
from adderforge.exploration.design import Design
from adderforge.exploration.effort import Effort
from adderforge.exploration.workloads import of_model
from adderforge.up5k_energy import Up5kEnergy, measure_up5k
from golden import data, reference
from hw import up5k
from hw.delays import Delays, find_delays
from hw.ice40_cells import BEHIND_CARRY, LUT, read_up5k
from hw.netlist import Netlist
from hw.yowasp import yosys
from sim import events

PAGE = Path(__file__).parent.parent / "docs" / "results" / "up5k-energy.md"
NETWORK = Path(__file__).parent.parent / "fixtures" / "lenet5-bn-digits-adder.npz"
CYCLES, WARM_UP = 4096, 2
SPREADS_NS, SEEDS = (0.0, 1.0, 2.0, 4.0), range(3)
SIZES = ((1, 1, 4), (1, 2, 2), (1, 1, 8), (4, 4, 1))
CLOCKS = ((12.0, False), (24.0, True))
EFFORT = Effort(target="ice40", ultraplus=True)

# As in what was measured: two counters of 8 bits, by 3 and by 5, their product, and a counter of 24
# bits. x is there since a simulation must have an input; Yosys would find that no product is all
# ones, and leave the multiplier out.
PRODUCT = """\
module top (input clk, input x, output out);
  reg [23:0] count = 0;
  reg [7:0] a = 0, b = 0;
  (* keep *) wire [15:0] product;
  assign product = a * b;
  always @(posedge clk) begin
    count <= count + 1;
    a <= a + 3;
    b <= b + 5;
  end
  assign out = x ^ (count[23] | &a | &b | &product);
endmodule
"""


def product_netlist() -> Netlist:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "product.v").write_text(PRODUCT, encoding="utf-8")
        script = "read_verilog product.v\nsynth_ice40 -top top\nwrite_json product.json\n"
        yosys(script, folder, "synth")
        return read_up5k(folder / "product.json")


def product_transitions(netlist: Netlist, delays: Delays) -> float:
    """Of routed nets in a cycle, beyond those of the counter of 24 bits."""
    still = {"x": np.zeros((WARM_UP + CYCLES, 1), dtype=np.int64)}
    run = events.simulate(netlist, delays, still, warm_up=WARM_UP)
    logic = up5k.logic_energy(netlist, run.activity)
    return logic.transitions / up5k.TRANSITION_PJ - up5k.COUNTER_TRANSITIONS


def spread(delays: Delays, most_ns: float, seed: int) -> Delays:
    """With longer ways through the routing to each pin, at random."""
    random = np.random.default_rng(seed)
    longer = {}
    for (cell, output, pin), arcs in delays.arcs_ns.items():
        is_routed = pin not in ("C", "CI") and not (pin == "I3" and BEHIND_CARRY in cell)
        more = random.uniform(0, most_ns if is_routed else 0.0, len(arcs))
        longer[cell, output, pin] = arcs + more[:, None, None]
    return replace(delays, arcs_ns=longer)


def derivation() -> Iterator[str]:
    netlist = product_netlist()
    delays = find_delays(netlist)
    tables = sum(len(n.names) for kind, n in netlist.instances.items() if kind.startswith(LUT))
    more = up5k.WIDE_COUNTER_BITS - up5k.COUNTER_BITS
    yield f"- the product: {tables} lookup tables; 208 logic cells were measured"
    yield (
        f"- a clocked flip-flop: ({up5k.WIDE_COUNTER_UA} − {up5k.COUNTER_UA}) µA for {more} more: "
        f"{up5k.CLOCKED_PJ * 1000:.1f} fJ a cycle"
    )
    found = product_transitions(netlist, delays)
    yield (
        f"- a routed transition: ({up5k.PRODUCT_UA} − {up5k.OSCILLATOR_UA}) µA for {found:.1f} "
        f"transitions a cycle: {up5k.TRANSITION_PJ:.3f} pJ, {_pf(up5k.TRANSITION_PJ):.2f} pF"
    )
    for most_ns in SPREADS_NS[1:]:
        counts = [product_transitions(netlist, spread(delays, most_ns, s)) for s in SEEDS]
        yield (
            f"  - with up to {most_ns:g} ns more routing to each pin, at random: "
            f"{min(counts):.1f} to {max(counts):.1f} transitions"
        )
    for mhz, pll in ((12.0, False), (24.0, False), (24.0, True), (48.0, True)):
        made = "from the PLL" if pll else "from a pin"
        base = up5k.base_mw(mhz, pll)
        yield f"- at rest and for a clock of {mhz:g} MHz {made}: {base:.2f} mW"
    block, single = up5k.access_pj(2**8, 16, False), up5k.access_pj(2**14, 16, True)
    yield (
        f"- an access of a block RAM: {block:.2f} pJ, of a single-port RAM {single:.1f} pJ, by a "
        "model, not measured"
    )


def _pf(pj: float) -> float:
    """Of the net that ½CV² is so much of."""
    return 2 * pj / up5k.VOLTS**2


def accelerators() -> Iterator[tuple[Design, Up5kEnergy]]:
    workload = of_model(NETWORK, accelerator=True)
    images = data.load("digits").test_images[:4]
    for rows, cols, lanes in SIZES:
        sizes = {"rows": rows, "cols": cols, "lanes": lanes}
        design = Design.of(workload.defaults | EFFORT.defaults | sizes)
        model = workload.model(design)
        program = compiled(model, design)
        with tempfile.TemporaryDirectory() as folder:
            yield (
                design,
                measure_up5k(
                    program,
                    reference.encode(model, images),
                    Counts(images=2, batches=2, cycles=4000),
                    spram=in_spram(program, EFFORT),
                    activity="gate-delay",
                    folder=Path(folder),
                    update=lambda *_: None,
                ),
            )


def rows(found: Iterator[tuple[Design, Up5kEnergy]]) -> Iterator[str]:
    for design, energy in found:
        sizes = " × ".join(str(design.value(name)) for name in ("rows", "cols", "lanes"))
        wrong = energy.recording.mismatches
        for mhz, pll in CLOCKS:
            some = energy.figures(mhz, pll)
            cells = (
                sizes,
                str(block_rams_of(energy.design.program, EFFORT)),
                f"{mhz:g}{' (PLL)' if pll else ''}",
                f"{mhz * 1e6 / energy.cycles:,.0f}",
                f"{some['uj_per_image']:.1f}",
                f"{some['base_uj']:.1f}",
                f"{some['clock_pins_uj']:.2f}",
                f"{some['transitions_uj']:.1f} ± {some['standard_error']:.1f}",
                f"{sum(some['memories_uj'].values()):.1f}",
                f"{some['power_mw']:.2f}",
                f"{wrong} of {energy.recording.compared:,}",
            )
            yield f"| {' | '.join(cells)} |"


HEAD = """\
# What accelerators draw in an iCE40 UP5K

    python benchmarks/up5k_energy.py --write

No open tool tells an FPGA's energy. Here it follows from currents that tinyVision.ai measured on
the core of a UP5K (12 MHz unless said otherwise), from what was in it, and from simulation;
`hw/up5k.py` says how. Nothing of this was measured on a board by us.

## The figures

{derivation}

Delays are those of nextpnr's database with the shortest routing; longer ways make more glitches, in
the product that the figure comes from as in an accelerator.

## Accelerators

LeNet-5-BN of adder layers (the fixture for digits, 8 bits), rows × cols × lanes, weight-stationary,
images back to back. Every flip-flop and output is compared with the Verilog's in each simulated
cycle. In µJ of an image: all; what the FPGA draws at rest and for its clock; the flip-flops' clock;
transitions of routed nets, with the standard error over two batches; memories.

A UP5K has 30 block RAMs: the last size, which is there for the trend, does not fit one.

| PEs | block RAMs | MHz | images/s | µJ | base | clock pins | transitions | memories | mW | wrong |
| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
{rows}

The more an array does in a cycle, the less an image takes: what the FPGA draws anyway, and the
reads of memories, are shared by more operations. From the PLL the clock is faster, but an image
takes more.

What the table does not say is how far it is off: no accelerator of ours was measured. MARLANN, a
small accelerator of 8-bit products in multiplier blocks, was measured on a UP5K at 12 MHz
(Symbiotic EDA, MARLANN, power-test/README.md): 3.5 mW idle and 10.6 mW at work. The memories' share
is a model's. The serial link, pins, the flash and LEDs are not counted; the requantizer's products
are simulated as lookup tables, where a board has multiplier blocks for them.
"""


def main() -> None:
    if sys.argv[1:] not in ([], ["--write"]):
        raise SystemExit(__doc__)
    lines = list(derivation())
    print("\n".join(lines))
    if sys.argv[1:]:
        table = "\n".join(rows(accelerators()))
        text = HEAD.format(derivation="\n".join(lines), rows=table)
        PAGE.write_text(text, encoding="utf-8")
        print(table)


if __name__ == "__main__":
    main()
