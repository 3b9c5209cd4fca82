"""`torch.nn.attention.bias`: causal masks for `scaled_dot_product_attention`."""

from jtoolbox.nn.functional.causal_bias import (
    CausalBias,
    CausalVariant,
    causal_lower_right,
    causal_upper_left,
)

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]
