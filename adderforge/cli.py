"""The command line: its commands, and what a failed one prints."""

import errno
import os

import click

from .commands.accelerator import accelerator
from .commands.arrays import simulate, synth, verilog
from .commands.build import build
from .commands.compare import compare
from .commands.count import count
from .commands.demo import demo
from .commands.doctor import doctor
from .commands.energy import energy
from .commands.explore import explore
from .commands.export import export
from .commands.ip import ip
from .commands.quantize import quantize
from .commands.reproduce import reproduce
from .commands.run import run
from .commands.suggest import suggest
from .commands.train import train

# Before anything imports PyTorch: OpenMP's threads spin while they wait, and keep from the cores
# whoever has work. With other work on 2 cores, 20 epochs on digits took 8 s with this and 220 s
# without; on idle cores spinning saves about a sixth.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Commands(click.Group):
    """Turns what a user can put right into one line and exit code 1; ADDERFORGE_TRACEBACK=1
    shows where it came from instead."""

    def invoke(self, context: click.Context) -> object:
        from hw.tools import ToolError

        try:
            return super().invoke(context)
        except (ValueError, OSError, ToolError, ImportError) as error:
            if isinstance(error, BrokenPipeError):
                raise  # click ends quietly
            if os.environ.get("ADDERFORGE_TRACEBACK"):
                raise
            click.echo(f"adderforge: error: {_one_line(error)}", err=True)
            context.exit(1)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}; make room and run it again (no file is left half-written)"
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed; run 'pip install adderforge[all]'"
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror[:1].lower()}{error.strerror[1:]}"
    return " ".join(str(error).split())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="adderforge")
def main() -> None:
    """Generate FPGA and ASIC accelerators for AdderNet: adders in place of multipliers.

    \b
    Start with:  adderforge demo
    """


COMMANDS = (
    demo,
    train,
    quantize,
    export,
    verilog,
    simulate,
    synth,
    energy,
    compare,
    explore,
    suggest,
    accelerator,
    ip,
    build,
    run,
    count,
    doctor,
    reproduce,
)
for command in COMMANDS:
    main.add_command(command)
