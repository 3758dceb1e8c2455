"""Files that appear whole or not at all, and arrays in them: .npz with the same bytes for the same
arrays. NumPy only."""

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

DAMAGES = (  # what reading a damaged archive raises
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    ValueError,
    EOFError,
    OSError,
    AttributeError,
    KeyError,
    NotImplementedError,
    RuntimeError,
)


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file that appears under its name whole or not at all; OSError names the file."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def save_arrays(members: dict[str, np.ndarray], path: str | Path) -> None:
    """Write arrays as a compressed .npz with fixed times; equal arrays, equal bytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, value, version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())
    write_whole(path, content.getvalue())


def load_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read every array of an .npz; ValueError with the remedy when the file is damaged."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: no such file") from None
    try:
        archive = np.load(io.BytesIO(content), allow_pickle=False)
        return {name: archive[name] for name in archive.files}
    except DAMAGES as error:
        reason = "not arrays" if "allow_pickle" in str(error) else error  # NumPy's advice is unsafe
        raise ValueError(
            f"{path}: truncated or not an .npz file ({reason}); make it again or copy it again"
        ) from None
