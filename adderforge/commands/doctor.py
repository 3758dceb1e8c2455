"""adderforge doctor"""

import re
import shutil
from importlib import metadata

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
    """Say what is installed and what is missing, and which extra brings it.

    \b
    Example:  adderforge doctor
    """
    from hw.tools import tool_versions, version_of

    versions = tool_versions()
    programs = {name: shutil.which(name) for name in PROGRAMS}
    extras = _extras()
    packages = {name: version_of(name) for name in extras}
    lines = [f"{name} {version or 'not installed'}" for name, version in versions.items()]
    lines += [
        f"{name} {version or f'not installed; pip install adderforge[{extras[name]}]'}"
        for name, version in packages.items()
        if name not in versions
    ]
    lines += [
        f"{name} {place or f'not on PATH (needed by {PROGRAMS[name]})'}"
        for name, place in programs.items()
    ]
    figures = {"versions": versions, "packages": packages, "programs": programs}
    show(figures, as_json, "\n".join(lines))


def _extras() -> dict[str, str]:
    """The packages that extras bring, with the first extra that does, as the project says itself;
    not those of its developers."""
    found = {}
    for requirement in metadata.requires("adderforge") or []:
        extra = re.search(r"extra == ['\"](\w+)['\"]", requirement)
        name = re.match(r"[\w.-]+", requirement)[0]
        if extra and extra[1] not in ("all", "dev") and name != "adderforge":
            found.setdefault(name, extra[1])
    return found
