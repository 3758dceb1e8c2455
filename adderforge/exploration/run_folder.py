"""A run's folder, which a run that wrote nothing does not leave behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..runs import new_run_folder


@contextmanager
def run_folder(name: str, out: Path | None = None) -> Iterator[Path]:
    """As `runs.new_run_folder`; an error that leaves it empty removes it, unless it was there."""
    is_new = out is None or not out.exists()
    folder = new_run_folder(name, out)
    try:
        yield folder
    except BaseException:
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
        raise
