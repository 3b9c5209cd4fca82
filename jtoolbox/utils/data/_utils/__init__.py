"""Where PyTorch keeps the parts of collation that programs extend."""

from jtoolbox.utils.data._utils import collate

__all__ = ["collate"]
