"""Design points as tables: CSV, and Parquet where pyarrow is installed."""

import csv
from io import StringIO
from pathlib import Path

from golden.archive import write_whole
from hw.tools import ToolError

from ..runs import write_text
from .design import DesignPoint


def write_csv(points: tuple[DesignPoint, ...], path: Path) -> None:
    rows = [point.row for point in points]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_parquet(points: tuple[DesignPoint, ...], path: Path) -> None:
    """ToolError when pyarrow is not installed."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise ToolError("pyarrow: not installed; run 'pip install adderforge[parquet]'") from None
    rows = [point.row for point in points]
    names = dict.fromkeys(name for row in rows for name in row)
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in names})
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink)
    write_whole(path, sink.getvalue().to_pybytes())
