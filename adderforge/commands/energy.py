"""adderforge energy"""

import click

from ..energy_options import Measurement, Work
from ..options import FILE, accelerator_options, as_json, left_out, library_options, with_data


@click.command()
@accelerator_options
@click.option("--accelerator", is_flag=True, help="of a whole accelerator, an image")
@click.option("--layer", help="name of the layer; default: all layers")
@click.option("--vectors", type=FILE, help="images from a file, in place of --data")
@with_data
@click.option("--images", default=2, show_default=True, help="images of a batch")
@click.option("--batches", default=4, show_default=True, help="batches, for the error bars")
@click.option("--cycles", default=4000, show_default=True, help="to count, all batches together")
@click.option(
    "--clock-mhz", type=float, help="map for it; default: least area, 100 MHz; a board's own"
)
@click.option("--board", help="of its FPGA, not a cell library, with --accelerator: icebreaker")
@click.option(
    "--activity", default="gate-delay", show_default=True, help="gate-delay or zero-delay"
)
@click.option("--from-activity", type=FILE, help="price a saved activity, without simulation")
@click.option("--save-activity", is_flag=True, help="also write activity.npz, for --from-activity")
@library_options
@click.option("--multiplier", help="for mac: booth-tree, rows, …; default: the smallest of all")
@click.option("--wire-load", help="one of the library's wire models, by name; default: no wires")
@click.option("--wire-ff-per-fanout", default=0.0, help="wire of a net for each pin it drives, fF")
@click.option("--memory-pj-per-bit", type=float, help="of the memories; default: by a model")
@click.option("--out", type=FILE, help="run folder, new or empty; default runs/energy-…")
@as_json
def energy(accelerator: bool, **options: object) -> None:
    """Measure the energy of an array, or an accelerator, on a network's own activations.

    The netlist mapped to the cell library is simulated with the library's gate delays, and its
    transitions are priced by the library's power tables at their slews and loads. Sums are compared
    with the integer reference. Glitch share: what a simulation without delays would miss. Figures
    are before placement: no clock tree, and no wires unless asked for.

    With --accelerator it is the energy of an image in the accelerator of `adderforge accelerator`,
    by block, with its memories, by a model of their sizes. The accelerator's Verilog runs on whole
    images; the netlist on windows of cycles at random in equal parts of them, and every flip-flop
    and output is compared with the Verilog's in each cycle.

    With --board it is the energy of its FPGA's core, known of the iCE40 UP5K: what it draws at rest
    and for its clock, and for each flip-flop and transition, by currents that others measured on
    one; of memories by a model. An accelerator that does not fit it gets a warning.

    \b
    Example:  adderforge energy --model fixtures/lenet5-bn-digits-adder.npz --layer conv2 \\
                  --vectors fixtures/digits-vectors.npz --rows 4 --cols 4
              adderforge energy --config my.toml --model run/adder.npz --data mnist --json
              adderforge energy --accelerator --model fixtures/lenet5-bn-digits-adder.npz \\
                  --rows 4 --cols 4 --lanes 4 --depth 400 --vectors fixtures/digits-vectors.npz
              adderforge energy --accelerator --board icebreaker \\
                  --model fixtures/lenet5-bn-digits-adder.npz \\
                  --rows 1 --cols 1 --lanes 8 --depth 400
    """
    work = Work(**{name: options.pop(name) for name in Work.__dataclass_fields__})
    how = Measurement(**{name: options.pop(name) for name in Measurement.__dataclass_fields__})
    if not accelerator:
        left_out("for an array; add --accelerator for it", board=how.board)
    if how.board:
        from .energy_board import measure
    elif accelerator:
        from .energy_accelerator import measure
    else:
        from .energy_array import measure
    if measure(work, how, options):
        raise SystemExit(1)
