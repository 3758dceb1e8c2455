"""C++ sources beside the Python ones, compiled on first use into the user's cache folder."""

import ctypes
import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from hw.tools import ToolError, cache_folder, run

FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC")
DIGEST_SIZE = hashlib.sha256().digest_size


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
    key = "\0".join([source.read_text(encoding="utf-8"), compiler, *FLAGS])
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = cache_folder() / f"{source.stem}-{name}.so"
    if not _is_whole(path):
        _build(compiler, source, path)
    return ctypes.CDLL(str(path))


def _is_whole(path: Path) -> bool:
    """Whether the file ends in the digest that `_build` put there: a damaged library crashes."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return content[-DIGEST_SIZE:] == hashlib.sha256(content[:-DIGEST_SIZE]).digest()


def _build(compiler: str, source: Path, path: Path) -> None:
    """Compile beside `path`, then rename, so that others see the whole library or none."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        built = Path(folder) / path.name
        log = path.with_suffix(".log")
        run([compiler, *FLAGS, str(source.resolve()), "-o", str(built)], Path(folder), log)
        content = built.read_bytes()
        built.write_bytes(content + hashlib.sha256(content).digest())
        built.replace(path)
        log.unlink(missing_ok=True)
