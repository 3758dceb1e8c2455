"""Where measurements are made: any `concurrent.futures.Executor`; here, two of them."""

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from urllib.parse import urlsplit

from hw.tools import ToolError

PATIENCE = 10.0  # seconds for a scheduler to answer


def processes(count: int | None = None) -> ProcessPoolExecutor:
    """Processes on this machine, as many as it has cores by default; they end with this one, even
    when it is killed. ValueError when count is not positive."""
    if count is not None and count < 1:
        raise ValueError(f"processes must be at least 1, not {count}")
    return ProcessPoolExecutor(
        count or os.cpu_count(), get_context("spawn"), initializer=_end_with_parent
    )


@contextmanager
def scheduler(address: str, patience: float | None = None) -> Iterator[Executor]:
    """The workers of the Dask scheduler at an address such as tcp://host:8786, which have
    AdderForge installed, and see networks and libraries by the same paths; a worker that dies costs
    only what it was at. ValueError for what is no address; ToolError when the scheduler does not
    answer or Dask is not installed."""
    patience = PATIENCE if patience is None else patience
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise ToolError(
            "distributed: not installed; run 'pip install adderforge[explore]'"
        ) from None
    place = _place(address)
    try:
        socket.create_connection(place, patience).close()  # Dask's client is slow to give up
        client = Client(address, timeout=patience, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ToolError(
            f"scheduler {address} does not answer within {patience:g} s "
            f"({type(error).__name__}); start 'dask scheduler' and 'dask worker' there"
        ) from None
    with client:
        yield client.get_executor(pure=False)


def _place(address: str) -> tuple[str, int]:
    """Host and port of host:port or protocol://host:port. ValueError for anything else."""
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise ValueError(
            f"scheduler must be an address such as tcp://localhost:8786, not {address!r}"
        )
    return host, port


def _end_with_parent() -> None:
    """Ends this process as soon as the one that started it is gone, as after SIGKILL."""

    def watch() -> None:
        connection.wait([parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
