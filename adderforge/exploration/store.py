"""Results of measurements, kept: one JSON file each, under a name that follows from what was
measured, so that nothing is measured twice and nothing is lost.

Files appear whole or not at all, so several processes may write, and a run may be killed at any
moment. A measurement that failed is kept as well, with the reason.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from golden.archive import write_whole

FORMAT = "adderforge-store"
VERSION = 1
HEADER, POINTS = "store.json", "points"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a measurement follows from: of: parameters, files' digests and tools' versions, as far
    as they matter at this level."""

    level: int
    of: dict[str, object]

    @property
    def key(self) -> str:
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """figures: by name; none when it failed, for which there is a reason, and the log's end.
    design: flat values, of the design that it was made for, with the requantizer of its network
    where an accelerator was measured. seconds: that it took."""

    subject: Subject
    design: dict[str, object]
    figures: dict[str, float | str | None] = field(default_factory=dict)
    reason: str | None = None
    log: str | None = None
    seconds: float = 0.0

    @property
    def status(self) -> str:
        return "failed" if self.reason else "done"


class Store:
    """A folder of measurements, made if it is not there. ValueError when it is something else, or
    of another version; OSError when a file cannot be written, and then there is none."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._points = self.folder / POINTS
        header = self.folder / HEADER
        if not header.exists():
            if any(name != POINTS and name[0] != "." for name in _names(self.folder)):
                raise ValueError(
                    f"{folder}: not a store of AdderForge, and not empty; name another folder"
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(header, {"format": FORMAT, "version": VERSION})
        found = _read(header)
        if found.get("format") != FORMAT:
            raise ValueError(f"{header}: must be of a store of AdderForge; name another folder")
        if found.get("version") != VERSION:
            raise ValueError(
                f"{folder}: version of the store must be {VERSION}, not {found.get('version')}; "
                "name a new folder, or explore with the version of AdderForge that made it"
            )
        self._points.mkdir(exist_ok=True)

    def get(self, subject: Subject) -> Measurement | None:
        path = self._path(subject)
        return _measurement(path) if path.exists() else None

    def put(self, measurement: Measurement) -> None:
        """Keep it; what is there already stays."""
        path = self._path(measurement.subject)
        if not path.exists():
            _write(path, asdict(measurement) | {"status": measurement.status})

    def forget(self, subject: Subject) -> None:
        self._path(subject).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[Measurement]:
        """All of them, in the order of their names."""
        for path in sorted(self._points.glob("*.json")):
            yield _measurement(path)

    def _path(self, subject: Subject) -> Path:
        return self._points / f"{subject.key}.json"


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def _measurement(path: Path) -> Measurement:
    """ValueError when the file is damaged."""
    values = {name: value for name, value in _read(path).items() if name != "status"}
    try:
        found = Measurement(**values | {"subject": Subject(**values["subject"])})
    except (KeyError, TypeError):
        raise _damaged(path) from None
    if not all(isinstance(part, dict) for part in (found.subject.of, found.design, found.figures)):
        raise _damaged(path)
    return found


def _write(path: Path, content: dict) -> None:
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def _read(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise _damaged(path)
    return content


def _damaged(path: Path) -> ValueError:
    return ValueError(f"{path}: damaged; remove it, and it will be measured again")
