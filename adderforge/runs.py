"""Run folders: one for each run, never shared, files in them whole or not there."""

import json
from datetime import datetime
from pathlib import Path

from golden.archive import write_whole


def new_run_folder(name: str, out: Path | None = None) -> Path:
    """Make the folder of a new run: `out`, or runs/<name>-<date>-<time>.

    ValueError when `out` exists and is not empty: a run never writes over another.
    """
    if out is not None:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ValueError(
                f"{out}: the run folder must be new or empty; choose another name or remove it"
            )
        out.mkdir(parents=True, exist_ok=True)
        return out
    stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    for number in range(1, 1000):
        folder = Path("runs") / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise ValueError(f"runs/{stem}: too many runs of one second; name one with --out")


def write_text(path: Path, text: str) -> None:
    write_whole(path, text.encode())


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")
