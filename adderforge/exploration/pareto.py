"""Which points nothing beats. All values are costs: less is better."""

import numpy as np


def pareto_set(costs: np.ndarray) -> np.ndarray:
    """Returns for each point of (points, objectives) whether no other is at least as good in all
    objectives and better in one. Of equal points, all are in the set."""
    best: np.ndarray = np.empty((0, costs.shape[1]))
    found = np.zeros(len(costs), bool)
    for index in np.lexsort(costs.T[::-1]):  # nothing later can beat what stands in the set
        if not _beaten(costs[index], best):
            best = np.vstack([best, costs[index]])
            found[index] = True
    return found


def possible_winners(least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Returns for each point whether it may be in the Pareto set, when its costs are between
    `least` and `most`, both (points, objectives): whether no other beats it at any rate."""
    sure = np.unique(most[pareto_set(most)], axis=0)
    found = np.ones(len(least), bool)
    for costs in sure:
        found &= ~(np.all(costs <= least, axis=1) & np.any(costs < least, axis=1))
    return found


def ranks(costs: np.ndarray) -> np.ndarray:
    """Returns each point's rank: 0 in the Pareto set, 1 in that of the others, and so on."""
    found = np.full(len(costs), -1)
    rank = 0
    while (left := np.flatnonzero(found < 0)).size:
        found[left[pareto_set(costs[left])]] = rank
        rank += 1
    return found


def spread(costs: np.ndarray, count: int) -> np.ndarray:
    """Returns the indices of `count` points or fewer: the lowest ranks, and of the last of them
    that fits in part, points evenly along the first objective."""
    if len(costs) <= count or count == 0:
        return np.arange(len(costs))[:count]
    rank = ranks(costs)
    order = np.lexsort((costs[:, 0], rank))
    last = rank[order[count - 1]]
    sure = order[rank[order] < last]
    some = order[rank[order] == last]
    places = np.linspace(0, len(some) - 1, count - len(sure)).round().astype(int)
    return np.sort(np.concatenate([sure, some[np.unique(places)]]))


def _beaten(costs: np.ndarray, others: np.ndarray) -> bool:
    return bool(np.any(np.all(others <= costs, axis=1) & np.any(others < costs, axis=1)))
