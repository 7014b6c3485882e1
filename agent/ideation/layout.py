"""Where ideas lie on the map: groups as islands, near where groups like them are, their ideas around their middles.

The middles by classical scaling of the distances between groups (Torgerson 1952); ideas by the two main directions
within their group. What would overlap is pushed apart, so that each mark can be seen. Pure, and the same every time.
"""

import numpy as np
from numpy.typing import NDArray

from agent.ideation.groups import Labels
from retrieval.passage import Vectors

Points = NDArray[np.float64]
_PUSHES = 60


def layout(vectors: Vectors, labels: Labels) -> Points:
    """A point in the unit square for each row, (n, 2). labels: groups from 0, (n,)."""
    count = len(vectors)
    if count == 0:
        return np.empty((0, 2))
    rows = vectors.astype(np.float64)
    groups = int(labels.max()) + 1
    sizes = np.bincount(labels, minlength=groups).astype(float)
    middles = np.array([rows[labels == group].mean(axis=0) for group in range(groups)])
    radius = 0.5 * np.sqrt(sizes / count)  # an island's area goes with its ideas
    centres = apart(_gathered(_scaled(middles), radius), radius)
    points = np.empty((count, 2))
    for group in range(groups):
        members = np.nonzero(labels == group)[0]
        points[members] = centres[group] + radius[group] * _around(rows[members] - middles[group])
    return _fitted(points)


def beside(point_of: Points, vectors: Vectors, vector: NDArray[np.float32]) -> Points:
    """Where a new idea goes on a map that stands, (2,): among its three nearest, by how near they are."""
    likeness = vectors @ vector
    near = np.argsort(-likeness, kind="stable")[:3]
    weight = np.maximum(likeness[near], 1e-3) ** 4
    result: Points = (point_of[near] * weight[:, None]).sum(axis=0) / weight.sum()
    return result


def _scaled(rows: Points) -> Points:
    """Rows in two dimensions, their distances kept as well as can be; largest distance from the middle 1."""
    if len(rows) == 1:
        return np.zeros((1, 2))
    flat = _flat(rows - rows.mean(axis=0))
    result: Points = flat / max(float(np.abs(flat).max()), 1e-9)
    return result


def _gathered(points: Points, radius: Points) -> Points:
    """Circles drawn towards the middle until two nearly touch, far ones more than near ones: islands and little sea."""
    if len(points) < 2:
        return points
    away = np.linalg.norm(points, axis=1, keepdims=True)
    points = points / np.maximum(away, 1e-9) ** 0.5
    between = np.linalg.norm(points[:, None, :] - points[None, :, :], axis=2)
    wanted = 1.2 * (radius[:, None] + radius[None, :])
    np.fill_diagonal(between, np.inf)
    result: Points = points / max(float((between / wanted).min()), 1.0)
    return result


def _around(rows: Points) -> Points:
    """The members of a group in a circle of radius 1: their direction by what sets them apart, far ones outside."""
    if len(rows) == 1:
        return np.zeros((1, 2))
    flat = _flat(rows)
    angle = np.arctan2(flat[:, 1], flat[:, 0])
    order = np.argsort(np.argsort(np.linalg.norm(rows, axis=1), kind="stable"), kind="stable")
    reach = np.sqrt((order + 0.5) / len(rows))  # even over the circle's area
    result: Points = reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return result


def _flat(rows: Points) -> Points:
    """The two main directions of centred rows, each turned so that its largest part is positive: no mirrored maps."""
    if len(rows) < rows.shape[1]:
        values, left = np.linalg.eigh(rows @ rows.T)
        flat = left[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0))
    else:
        _, right = np.linalg.eigh(rows.T @ rows)
        flat = rows @ right[:, ::-1][:, :2]
    if flat.shape[1] < 2:
        flat = np.hstack([flat, np.zeros((len(rows), 2 - flat.shape[1]))])
    largest = np.abs(flat).argmax(axis=0)
    result: Points = flat * np.where(flat[largest, [0, 1]] < 0, -1.0, 1.0)
    return result


def apart(points: Points, radius: Points, rounds: int = _PUSHES) -> Points:
    """Circles pushed apart until none overlap, or the rounds are over."""
    if len(points) < 2:
        return points
    points = points.copy()
    points += 1e-6 * np.stack([np.cos(np.arange(len(points))), np.sin(np.arange(len(points)))], axis=1)
    wanted = radius[:, None] + radius[None, :]
    np.fill_diagonal(wanted, 0)
    for _ in range(rounds):
        between = points[:, None, :] - points[None, :, :]
        distance = np.sqrt((between**2).sum(axis=2))
        np.fill_diagonal(distance, 1)
        short = np.maximum(wanted - distance, 0)
        if short.max() < 1e-3:
            break
        push = between / np.maximum(distance, 1e-9)[:, :, None] * (0.35 * short)[:, :, None]
        points += push.sum(axis=1) / np.maximum((short > 0).sum(axis=1), 1)[:, None]
    return points


def _fitted(points: Points) -> Points:
    """Points stretched into the unit square, one measure for both directions where that leaves no half of it empty."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, 1e-9)
    span = np.maximum(span, span.max() / 1.6)
    result: Points = 0.5 + (points - (low + high) / 2) / span
    return result
