"""GNU make and Verilator's make files take no paths with spaces: links and a folder without."""

import os
import tempfile
from functools import cache
from pathlib import Path


def link_without_spaces(path: Path) -> Path:
    """`path`, or, where it has a space, a link to it that has none and lasts as long as the
    process."""
    return _link(path) if has_space(path) else path


def build_folder(folder: Path) -> Path:
    """`folder`/build, or, where that has a space, a temporary folder that lasts as long as the
    process."""
    if not has_space(folder):
        return folder / "build"
    return Path(tempfile.mkdtemp(prefix="build-", dir=_temporary().name))


def has_space(path: Path) -> bool:
    return any(character.isspace() for character in str(path))


@cache
def _link(path: Path) -> Path:
    link = Path(tempfile.mkdtemp(dir=_temporary().name)) / "to"
    os.symlink(path, link)
    return link


@cache
def _temporary() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="adderforge-")
