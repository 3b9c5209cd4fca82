"""PyTorch's `nn.modules.sparse`: the names that programs import from there."""

from jtoolbox.nn.embedding import Embedding, EmbeddingBag

__all__ = [
    "Embedding",
    "EmbeddingBag",
]
