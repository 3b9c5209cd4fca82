"""AdamW under PyTorch's module name; its rule is Adam's, in `adam.py`."""

from jtoolbox.optim.adam import AdamW

__all__ = ["AdamW"]
