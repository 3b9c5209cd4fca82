"""The half-Cauchy distribution."""

from __future__ import annotations

import math
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions.cauchy import Cauchy
from jtoolbox.distributions.half_normal import Half

__all__ = ["HalfCauchy"]


class HalfCauchy(Half):
    """|x| of a Cauchy x around 0 with this `scale` > 0. Mean and variance are infinite."""

    def __init__(self, scale: Any, validate_args: bool | None = None):
        super().__init__(Cauchy(0, scale, validate_args=False), validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return ops.full_like(self.scale, math.inf)

    @property
    def variance(self) -> Any:
        return ops.full_like(self.scale, math.inf)
