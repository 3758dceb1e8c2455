"""Compiled libraries that are kept in a folder, whole or not at all."""

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

_DIGEST_SIZE = hashlib.sha256().digest_size


def kept_library(
    folder: Path, name: str, made_of: Iterable[str], build: Callable[[Path], object]
) -> Path:
    """`name`-<digest>.so in the folder; built unless it is there and whole. made_of: all that it
    depends on. build: called with the path to write it to, beside the final one, which is renamed
    when done, so that others see the whole library or none."""
    key = hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:16]
    path = folder / f"{name}-{key}.so"
    if not is_whole(path):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            built = Path(place) / path.name
            build(built)
            content = built.read_bytes()
            built.write_bytes(content + hashlib.sha256(content).digest())
            built.replace(path)
    return path


def is_whole(path: Path) -> bool:
    """Whether the file ends in the digest that belongs there: a damaged library crashes."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return content[-_DIGEST_SIZE:] == hashlib.sha256(content[:-_DIGEST_SIZE]).digest()
