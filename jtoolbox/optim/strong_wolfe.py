"""A line search for L-BFGS: a step that meets the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Point", "strong_wolfe"]

DECREASE = 1e-4  # the least part of the decrease that the first slope promises
CURVATURE = 0.9  # the most that may be left of the first slope
MOST_STEPS = 25


class Point(NamedTuple):
    """The loss at a step t along the line, with its gradient and its slope along the line."""

    t: float
    loss: float
    gradient: Any
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point], start: Point, t: float, size: float, tolerance: float
) -> Point:
    """A point where the loss fell enough and its slope is flat enough, from `start` at t = 0.

    `t` is tried first; `size` is the direction's largest element, and a bracket narrower than
    `tolerance` / `size` is not divided further. After 25 steps the best point so far is taken.
    Nocedal and Wright, "Numerical Optimization", algorithms 3.5 and 3.6.
    """
    bracket, steps = _bracket(evaluate, start, t)
    if len(bracket) == 1:
        return bracket[0]
    return _zoom(evaluate, start, bracket, steps, size, tolerance)


def _rises(point: Point, start: Point) -> bool:
    return point.loss > start.loss + DECREASE * point.t * start.slope


def _flat(point: Point, start: Point) -> bool:
    return abs(point.slope) <= -CURVATURE * start.slope


def _bracket(evaluate: Callable[[float], Point], start: Point, t: float) -> tuple[list[Point], int]:
    """The one point looked for, or two with it between them; the steps taken."""
    before, here = start, evaluate(t)
    for step in range(MOST_STEPS):
        if _rises(here, start) or (step > 1 and here.loss >= before.loss):
            return [before, here], step
        if _flat(here, start):
            return [here], step
        if here.slope >= 0:
            return [before, here], step
        least = here.t + 0.01 * (here.t - before.t)
        t = _cubic_minimum(before, here, least, here.t * 10)
        before, here = here, evaluate(t)
    return [start, here], MOST_STEPS


def _zoom(
    evaluate: Callable[[float], Point],
    start: Point,
    bracket: list[Point],
    steps: int,
    size: float,
    tolerance: float,
) -> Point:
    """Narrows a bracket until its lower end meets both conditions; that end."""
    low, high = sorted(bracket, key=lambda point: point.loss)
    stalled = False
    while steps < MOST_STEPS and abs(high.t - low.t) * size >= tolerance:
        t, stalled = _inside(low, high, stalled)
        here = evaluate(t)
        steps += 1
        if _rises(here, start) or here.loss >= low.loss:
            high = here
            if high.loss < low.loss:
                low, high = high, low
            continue
        if _flat(here, start):
            return here
        if here.slope * (high.t - low.t) >= 0:
            high = low
        low = here
    return low


def _inside(low: Point, high: Point, stalled: bool) -> tuple[float, bool]:
    """Where to look next: not twice in a row within a tenth of the same bracket's ends."""
    left, right = sorted((low.t, high.t))
    t = _cubic_minimum(low, high, left, right)
    margin = 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if stalled or t >= right or t <= left:
        return (right - margin if abs(t - right) < abs(t - left) else left + margin), False
    return t, True


def _cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """The minimum of the cubic through two points with their slopes, within limits."""
    a, b = sorted((a, b), key=lambda point: point.t)
    middle = (least + most) / 2
    if a.t == b.t:
        return middle
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return middle
    d2 = math.sqrt(square)
    divisor = b.slope - a.slope + 2 * d2
    if divisor == 0:
        return middle
    t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / divisor)
    return min(max(t, least), most)
