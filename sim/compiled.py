"""C++ sources beside the Python ones, compiled on first use into the user's cache folder."""

import ctypes
import os
import shutil
from functools import cache
from pathlib import Path

from golden.kept import kept_library
from hw.tools import ToolError, cache_folder, run

FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC")


@cache
def load(source: Path) -> ctypes.CDLL:
    """The library made of a C++ file; ToolError where there is no compiler or it fails."""
    name = os.environ.get("CXX", "g++")
    compiler = shutil.which(name)
    if compiler is None:
        raise ToolError(
            f"{name}: not found; gate-delay activity needs a C++ compiler (Debian: apt install "
            "g++); zero-delay activity needs none"
        )
    folder = cache_folder()
    log = folder / f"{source.stem}.log"

    def build(path: Path) -> None:
        run([compiler, *FLAGS, str(source.resolve()), "-o", str(path)], path.parent, log)
        log.unlink(missing_ok=True)

    made_of = [source.read_text(encoding="utf-8"), compiler, *FLAGS]
    return ctypes.CDLL(str(kept_library(folder, source.stem, made_of, build)))
