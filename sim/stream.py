"""Matrix forms as one long stream of an array's cycles, with what is known of the sums."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hw.config import ArrayConfig
from hw.schedule import Schedule, drain_latency, plan
from hw.weight_schedule import WeightSchedule, memory_latency

from .workload import MatrixForm


@dataclass(frozen=True, kw_only=True)
class Stream:
    """ports: operands (cycles, …) and flags (cycles,). a_used, w_used: masks (cycles, side, lanes)
    of activations that are not filling, and of what the weights that they meet are. starts: cycles
    that a run may start with. Rows of sums: begins and ends, the cycles of the first and of the
    last of their operands, due, when they come out, the sums, (rows, cols), and used, which
    count."""

    ports: dict[str, np.ndarray]
    a_used: np.ndarray
    w_used: np.ndarray
    starts: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    due: np.ndarray
    sums: np.ndarray
    used: np.ndarray

    @property
    def cycles(self) -> int:
        return len(self.a_used)


def stream_of(config: ArrayConfig, forms: Iterable[MatrixForm]) -> Stream:
    """The forms one after the other, each until its last row has left the array."""
    make = _weights_stay if config.dataflow == "weight-stationary" else _sums_stay
    return _concatenate([make(config, form) for form in forms])


def fill_cycles(config: ArrayConfig) -> int:
    """Cycles from a start until all PEs have work."""
    weights = config.rows + 1 if config.dataflow == "weight-stationary" else 0
    return weights + config.rows + config.cols + config.pipeline


def start_distance(shape: tuple[int, int, int], config: ArrayConfig) -> int:
    """Cycles from one start of a form to the next, at most."""
    schedule = plan(shape, config)
    if isinstance(schedule, Schedule):
        return schedule.period
    return schedule.tiles[0] * schedule.period(min(shape[0], config.positions))


def _sums_stay(config: ArrayConfig, form: MatrixForm) -> Stream:
    schedule = Schedule(shape=form.shape, config=config)
    (m, _, n), (tiles_m, tiles_n) = form.shape, schedule.tiles
    ports = schedule.operands(form.activations, form.weights)
    masks = schedule.operands(
        np.ones(form.activations.shape, bool), np.ones(form.weights.shape, bool)
    )
    starts = np.arange(tiles_m * tiles_n) * schedule.period
    rows, cols = config.rows, config.cols

    def tiled(matrix: np.ndarray) -> np.ndarray:
        padded = np.pad(matrix, ((0, tiles_m * rows - m), (0, tiles_n * cols - n)))
        split = padded.reshape(tiles_m, rows, tiles_n, cols)
        return split.transpose(2, 0, 1, 3).reshape(-1, cols)

    ends = np.repeat(starts + schedule.steps - 1, rows)
    return Stream(
        ports={name: _idle(values, schedule.empty_cycles) for name, values in ports.items()},
        a_used=_idle(masks["a"], schedule.empty_cycles),
        w_used=_idle(masks["w"], schedule.empty_cycles),
        starts=starts,
        begins=np.repeat(starts, rows),
        ends=ends,
        due=ends + drain_latency(config) + np.tile(np.arange(rows), len(starts)),
        sums=tiled(form.sums),
        used=tiled(np.ones(form.sums.shape, bool)),
    )


def _weights_stay(config: ArrayConfig, form: MatrixForm) -> Stream:
    schedule = WeightSchedule(shape=form.shape, config=config)
    (_, k, n), (folds, tiles_n) = form.shape, schedule.tiles
    rows, cols, lanes = config.rows, config.cols, config.lanes
    ports = schedule.operands(form.activations, form.weights)
    count = len(ports["active"])
    a_used = np.zeros((count, rows, lanes), bool)
    w_used = np.zeros((count, cols, lanes), bool)
    terms = (np.arange(folds * rows * lanes) < k).reshape(folds, rows, lanes)
    filters = (np.arange(tiles_n * cols) < n).reshape(tiles_n, cols)
    sums = np.pad(form.sums, ((0, 0), (0, tiles_n * cols - n)))
    starts, rows_out = [], []
    for run in schedule.passes():
        now = slice(run.start, run.start + run.size)
        a_used[now], w_used[now] = terms[run.fold], filters[run.filters][:, None]
        if run.fold == 0:
            starts.append(run.start - rows - 1)  # with the first of its weights
        if run.fold == folds - 1:
            ends = np.arange(run.start, run.start + run.size)
            columns = slice(run.filters * cols, (run.filters + 1) * cols)
            rows_out.append((np.full(run.size, starts[-1]), ends, sums[run.block, columns]))
    begins, ends, out = (np.concatenate(parts) for parts in zip(*rows_out, strict=True))
    per_tile = len(begins) // tiles_n
    return Stream(
        ports={name: _idle(values, schedule.empty_cycles) for name, values in ports.items()},
        a_used=_idle(a_used, schedule.empty_cycles),
        w_used=_idle(w_used, schedule.empty_cycles),
        starts=np.array(starts),
        begins=begins,
        ends=ends,
        due=ends + memory_latency(config),
        sums=out,
        used=np.repeat(filters, per_tile, axis=0),
    )


def _idle(values: np.ndarray, cycles: int) -> np.ndarray:
    return np.pad(values, [(0, cycles)] + [(0, 0)] * (values.ndim - 1))


def _concatenate(streams: list[Stream]) -> Stream:
    offsets = np.cumsum([0] + [stream.cycles for stream in streams])[:-1]
    fields = {}
    for name in Stream.__dataclass_fields__:
        parts = [getattr(stream, name) for stream in streams]
        if name in ("starts", "begins", "ends", "due"):
            parts = [part + offset for part, offset in zip(parts, offsets, strict=True)]
        fields[name] = _joined(parts) if name == "ports" else np.concatenate(parts)
    return Stream(**fields)


def _joined(ports: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([some[name] for some in ports]) for name in ports[0]}
