"""`torch.nn.attention`: choices of kernels, causal masks, and attention with a user's functions."""

from jtoolbox.nn.attention import bias as bias
from jtoolbox.nn.attention import flex_attention as flex_attention
from jtoolbox.nn.attention.kernels import (
    WARN_FOR_UNFUSED_KERNELS,
    SDPBackend,
    activate_flash_attention_impl,
    current_flash_attention_impl,
    list_flash_attention_impls,
    register_flash_attention_impl,
    restore_flash_attention_impl,
    sdpa_kernel,
)

__all__ = [
    "WARN_FOR_UNFUSED_KERNELS",
    "SDPBackend",
    "activate_flash_attention_impl",
    "current_flash_attention_impl",
    "list_flash_attention_impls",
    "register_flash_attention_impl",
    "restore_flash_attention_impl",
    "sdpa_kernel",
]
