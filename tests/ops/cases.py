"""Inputs for the tests of operations."""

from __future__ import annotations

import ml_dtypes
import numpy as np

BFLOAT16 = ml_dtypes.bfloat16
# Zeros of both signs, ties, integers, halves, infinities, NaN.
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, np.inf, -np.inf, np.nan], np.float32)


def floats(*shape: int, low: float = -3.0, high: float = 3.0, dtype=np.float32, seed: int = 0):
    """Uniform numbers between low and high."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype(dtype)


def integers(*shape: int, low: int = -5, high: int = 6, dtype=np.int64, seed: int = 0):
    """Integers from low up to, not including, high."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)


def bools(*shape: int, seed: int = 0):
    """Coin flips."""
    return np.random.default_rng(seed).integers(0, 2, shape).astype(bool)
