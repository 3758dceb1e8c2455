"""Files that took long to build, kept by content in the user's cache folder."""

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

MOST = 100  # entries that are kept; those used last


def key_of(parts: Iterable[str]) -> str:
    """The name of what is built from these texts, and from nothing else."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def fetch(key: str, folder: Path) -> bool:
    """Copy the files kept under `key` into `folder`; False when there are none, or another process
    is forgetting them."""
    entry = home() / key
    try:
        os.utime(entry)
        copied = [shutil.copy(path, folder) for path in entry.iterdir()]
    except OSError:
        return False
    return bool(copied)


def make_newest(paths: Iterable[Path]) -> None:
    """Else make takes files from the cache for older than the make file that is yet to be written,
    and makes them again."""
    soon = time.time() + 3600
    for path in paths:
        os.utime(path, (soon, soon))


def keep(key: str, paths: Iterable[Path]) -> None:
    """Keep copies of these files under `key`, whole or not at all; a cache folder that cannot be
    written keeps nothing."""
    folder = home()
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as new:
            for path in paths:
                shutil.copy(path, new)
            os.rename(new, folder / key)
    _forget_oldest(folder)


def _forget_oldest(folder: Path) -> None:
    with suppress(OSError):
        for entry in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)[:-MOST]:
            shutil.rmtree(entry, ignore_errors=True)


def home() -> Path:
    """Where entries lie, each a folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "adderforge" / "simulators"
