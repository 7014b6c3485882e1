"""The best tree over scored arcs: Chu & Liu (1965), Edmonds (1967), with one root. Pure."""

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float32]


def best_tree(scores: Scores) -> list[int]:
    """The heads of the tree of the highest sum in which exactly one word hangs on the root.

    scores: (words, 1 + words), of each head for each word; head 0 is the root. Returns the head of each word, 0..words.
    """
    words = len(scores)
    if words == 0:
        return []
    greedy = scores.argmax(axis=1)
    if (greedy == 0).sum() == 1 and _is_tree(greedy):
        return [int(head) for head in greedy]
    heads = _with(scores)
    if heads.count(0) == 1:
        return heads
    # several hang on the root: each of the likeliest alone, and the best of those trees
    candidates = np.argsort(-(scores[:, 0] - scores[:, 1:].max(axis=1)))[: max(heads.count(0), 3)]
    trees = []
    for only in candidates:
        bound = scores.astype(np.float64).copy()
        bound[np.arange(words) != only, 0] = -1e9
        trees.append(_with(bound))
    return max(trees, key=lambda tree: sum(float(scores[i, head]) for i, head in enumerate(tree)))


def _is_tree(heads: NDArray[np.intp]) -> bool:
    state = [0] * len(heads)  # 1: on the path at hand, 2: known to reach the root
    for start in range(len(heads)):
        path, at = [], start
        while at >= 0 and state[at] == 0:
            state[at] = 1
            path.append(at)
            at = int(heads[at]) - 1
        if at >= 0 and state[at] == 1:
            return False
        for each in path:
            state[each] = 2
    return True


def _with(scores: NDArray[np.floating]) -> list[int]:
    """The best tree with any number of words on the root."""
    size = len(scores) + 1
    weights = np.full((size, size), -np.inf)  # [head, dependent]
    weights[:, 1:] = scores.T
    np.fill_diagonal(weights, -np.inf)
    heads = _edmonds(weights)
    return [int(head) for head in heads[1:]]


def _edmonds(weights: NDArray[np.float64]) -> NDArray[np.intp]:
    """The head of each node but the root, node 0, whose entry means nothing."""
    heads: NDArray[np.intp] = weights.argmax(axis=0)
    heads[0] = -1
    cycle = _cycle(heads)
    if cycle is None:
        return heads
    inside = np.zeros(len(weights), bool)
    inside[cycle] = True
    outside = np.flatnonzero(~inside)
    ring = np.array(cycle)
    own = weights[heads[ring], ring]
    entering = weights[np.ix_(outside, ring)] - own  # what breaking the ring at each of its nodes costs
    broken_at = entering.argmax(axis=1)
    leaving = weights[np.ix_(ring, outside)]
    from_node = leaving.argmax(axis=0)
    size = len(outside)
    smaller = np.full((size + 1, size + 1), -np.inf)
    smaller[:size, :size] = weights[np.ix_(outside, outside)]
    smaller[:size, size] = entering.max(axis=1)
    smaller[size, :size] = leaving.max(axis=0)
    smaller[:, 0] = -np.inf
    inner = _edmonds(smaller)
    result: NDArray[np.intp] = heads.copy()
    for k in range(1, size):
        result[outside[k]] = ring[from_node[k]] if inner[k] == size else outside[inner[k]]
    entry = inner[size]
    node = ring[broken_at[entry]]
    result[node] = outside[entry]
    return result


def _cycle(heads: NDArray[np.intp]) -> list[int] | None:
    state = [0] * len(heads)
    for start in range(1, len(heads)):
        path, at = [], start
        while at > 0 and state[at] == 0:
            state[at] = 1
            path.append(at)
            at = int(heads[at])
        if at > 0 and state[at] == 1:
            return path[path.index(at) :]
        for each in path:
            state[each] = 2
    return None
