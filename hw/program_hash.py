"""A name for a program with its configuration."""

import hashlib
from dataclasses import asdict

import numpy as np

from .program import Program


def program_hash(program: Program) -> str:
    """16 hexadecimal digits that name the program with its configuration."""
    content = hashlib.sha256()
    _digest(asdict(program), content)
    return content.hexdigest()[:16]


def _digest(value: object, content: "hashlib._Hash") -> None:
    if isinstance(value, dict):
        for name, part in value.items():
            content.update(f"{name}:".encode())
            _digest(part, content)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _digest(part, content)
    elif isinstance(value, np.ndarray):
        content.update(f"{value.shape}".encode())
        content.update(np.ascontiguousarray(value, "<i8").tobytes())
    else:
        content.update(f"{value!r};".encode())
