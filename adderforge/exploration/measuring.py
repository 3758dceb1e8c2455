"""Has measurements made by an executor, each once, and kept in a store as soon as it is made."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext

from hw.tools import ToolError

from .executors import processes
from .levels import measure
from .store import Measurement, Store
from .task import Task

Progress = Callable[[Task, Measurement], None]


class Laboratory:
    """Measurements by the keys of their subjects: those of the store, and those made here.

    executor: processes of this machine by default. retry: those that have failed count as unknown,
    and are made again.
    """

    def __init__(
        self, executor: Executor | None = None, store: Store | None = None, retry: bool = False
    ) -> None:
        self._executor, self._store, self._retry = executor, store, retry
        known = [] if store is None else store
        self._known = {m.subject.key: m for m in known if not (retry and m.reason)}

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self._known.values())

    def recall(self, task: Task) -> Measurement | None:
        """The task's measurement if it is known."""
        return self._known.get(task.subject.key)

    def measure(
        self, tasks: Sequence[Task], progress: Progress = lambda task, measurement: None
    ) -> list[Measurement]:
        """The tasks' measurements; those that follow from the same are made once. progress: called
        for each one that is made. OSError when one cannot be kept, ToolError when a worker process
        dies, and what `levels.measure` raises; then what was being measured is lost, and nothing
        else."""
        todo = {task.subject.key: task for task in tasks if not self.recall(task)}
        if todo:
            with nullcontext(self._executor) if self._executor else processes() as pool:
                self._make(todo, pool, progress)
        return [self._known[task.subject.key] for task in tasks]

    def _make(self, todo: dict[str, Task], pool: Executor, progress: Progress) -> None:
        futures = {pool.submit(measure, task): task for task in todo.values()}
        try:
            for future in as_completed(futures):
                self._keep(future.result())
                progress(futures[future], future.result())
        except BrokenProcessPool:
            raise ToolError(
                "a process that measured was killed, perhaps for want of memory; what was finished "
                "is in the store: run it again, with fewer processes"
            ) from None
        finally:
            for future in futures:
                future.cancel()

    def _keep(self, measurement: Measurement) -> None:
        if self._store is not None:
            if self._retry:
                self._store.forget(measurement.subject)
            self._store.put(measurement)
        self._known[measurement.subject.key] = measurement
