"""The chi-squared distribution."""

from __future__ import annotations

from typing import Any

from jtoolbox.distributions import constraints
from jtoolbox.distributions.gamma import Gamma
from jtoolbox.distributions.utils import broadcast_all

__all__ = ["Chi2"]


class Chi2(Gamma):
    """The sum of the squares of `df` standard normal numbers: Gamma(df / 2, 1 / 2). `df` > 0."""

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None):
        (df,) = broadcast_all(df)
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    def _trailing(self) -> dict[str, int]:
        return {"concentration": 0, "rate": 0}

    @property
    def df(self) -> Any:
        """The degrees of freedom."""
        return self.concentration * 2
