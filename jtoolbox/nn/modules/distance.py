"""PyTorch's `nn.modules.distance`: the names that programs import from there."""

from jtoolbox.nn.distance import CosineSimilarity, PairwiseDistance

__all__ = [
    "CosineSimilarity",
    "PairwiseDistance",
]
