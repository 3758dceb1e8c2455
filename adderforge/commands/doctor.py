"""adderforge doctor"""

import shutil

import click

from ..options import as_json, show

PROGRAMS = {
    "g++": "Verilator",
    "make": "Verilator",
    "perl": "Verilator",
    "iverilog": "--simulator icarus only",
}


@click.command()
@as_json
def doctor(as_json: bool) -> None:
    """Say what is installed and what is missing.

    \b
    Example:  adderforge doctor
    """
    from hw.tools import tool_versions

    versions = tool_versions()
    programs = {name: shutil.which(name) for name in PROGRAMS}
    lines = [f"{name} {version or 'not installed'}" for name, version in versions.items()]
    lines += [
        f"{name} {place or f'not on PATH (needed by {PROGRAMS[name]})'}"
        for name, place in programs.items()
    ]
    show({"versions": versions, "programs": programs}, as_json, "\n".join(lines))
