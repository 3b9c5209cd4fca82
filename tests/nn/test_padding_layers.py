"""Padding layers against PyTorch's."""

from __future__ import annotations

import pytest

from tests.nn.twins import normal, same_layer

SHAPES = {1: (2, 3, 4), 2: (2, 3, 4, 5), 3: (1, 2, 3, 4, 3)}


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("kind", ["ZeroPad", "ReflectionPad", "ReplicationPad", "CircularPad"])
def test_padding_layers_are_pytorchs(kind: str, n: int) -> None:
    same_layer(f"{kind}{n}d(1)", normal(*SHAPES[n]))
    same_layer(f"{kind}{n}d({(2, 1) + (0, 2) * (n - 1)})", normal(*SHAPES[n]))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_constant_padding_layers_are_pytorchs(n: int) -> None:
    same_layer(f"ConstantPad{n}d(1, 3.5)", normal(*SHAPES[n]))
    same_layer(f"ConstantPad{n}d({(2, -1) * n}, 0)", normal(*SHAPES[n]))
