"""Which blocks of scores `flex_attention` needs, and the function that says so for each place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jtoolbox.nn.functional.block_tables import dense_blocks, ordered_blocks, seen_places
from jtoolbox.ops.creation import ones, zeros_like
from jtoolbox.tensor import Tensor

__all__ = ["BlockMask", "noop_mask"]

_TABLES = ("kv_num_blocks", "kv_indices", "full_kv_num_blocks", "full_kv_indices",
           "q_num_blocks", "q_indices", "full_q_num_blocks", "full_q_indices")  # fmt: skip
_BOTH = "full_kv_num_blocks and full_kv_indices must be both provided or omitted"
_RANK = "BlockMask must have at least 2 dimensions: kv_indices is (B, H, rows, columns), got {n}"


_SLICED = (
    "Cannot use mask_mod from a sliced BlockMask: batches and heads count from 0 in the part. Set "
    "part.mask_mod to a function of these, made from the whole mask's mask_mod."
)


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """The mask_mod that lets every query see every key."""
    return ones((), dtype=bool)


def _sliced_mask_mod_error(batch: Any, head: Any, token_q: Any, token_kv: Any) -> Any:
    """Stands for the mask_mod of a part, whose batches and heads count from 0 again."""
    raise RuntimeError(_SLICED)


class BlockMask:
    """A mask for `flex_attention`: a mask_mod, and tables of the blocks in which it lets any see.

    kv_num_blocks (B, H, rows) and kv_indices (B, H, rows, columns) list, for each row of blocks,
    those of keys seen in part; the full ones list blocks seen wholly, or are None; the q tables
    list the same by columns. Made by `create_block_mask`; or by `from_kv_blocks`, and then the
    blocks not listed are not seen (PyTorch on a CPU looks at the mask_mod alone).

    The tables tell what is seen; no time is saved, since XLA computes all scores. The orders of
    PyTorch's kernels (`dq_write_order` and so on) are left out.
    """

    def __init__(
        self,
        seq_lengths: tuple[int, int],
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None,
        full_kv_indices: Tensor | None,
        q_num_blocks: Tensor | None,
        q_indices: Tensor | None,
        full_q_num_blocks: Tensor | None,
        full_q_indices: Tensor | None,
        BLOCK_SIZE: tuple[int, int] = (128, 128),
        mask_mod: Callable[..., Any] = noop_mask,
    ) -> None:
        if kv_indices.dim() < 2:
            raise RuntimeError(_RANK.format(n=kv_indices.dim()))
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError(_BOTH)
        self.seq_lengths = seq_lengths
        self.kv_num_blocks, self.kv_indices = kv_num_blocks, kv_indices
        self.full_kv_num_blocks, self.full_kv_indices = full_kv_num_blocks, full_kv_indices
        self.q_num_blocks, self.q_indices = q_num_blocks, q_indices
        self.full_q_num_blocks, self.full_q_indices = full_q_num_blocks, full_q_indices
        self.BLOCK_SIZE = BLOCK_SIZE
        self.mask_mod = mask_mod
        self._by_function = False

    @classmethod
    def from_kv_blocks(
        cls,
        kv_num_blocks: Tensor,
        kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None,
        BLOCK_SIZE: int | tuple[int, int] = 128,
        mask_mod: Callable[..., Any] | None = None,
        seq_lengths: tuple[int, int] | None = None,
        compute_q_blocks: bool = True,
    ) -> BlockMask:
        """A mask from the tables by rows. Without lengths all blocks count as whole.

        Raises RuntimeError for tables without two dimensions, AssertionError for half of the full
        ones.
        """
        if kv_indices.dim() < 2:
            raise RuntimeError(_RANK.format(n=kv_indices.dim()))
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError(_BOTH)
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        rows, columns = kv_indices.shape[-2:]
        lengths = (rows * size[0], columns * size[1]) if seq_lengths is None else seq_lengths
        by_column: list[Any] = [None] * 4
        if compute_q_blocks:
            by_column[:2] = ordered_blocks(kv_num_blocks, kv_indices, columns)
            if full_kv_num_blocks is not None:
                by_column[2:] = ordered_blocks(full_kv_num_blocks, full_kv_indices, columns)
        tables = (kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, *by_column)
        mask_mod = noop_mask if mask_mod is None else mask_mod
        return cls(lengths, *tables, BLOCK_SIZE=size, mask_mod=mask_mod)

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, H, queries, keys)."""
        return (*self.kv_indices.shape[:-2], *self.seq_lengths)

    def numel(self) -> int:
        """The number of scores, B H L S."""
        count = 1
        for n in self.shape:
            count *= n
        return count

    def sparsity(self) -> float:
        """Which part of the scores is in no listed block, in percent; blocks count as whole."""
        count = int(self.kv_num_blocks.sum().item())
        if self.full_kv_num_blocks is not None:
            count += int(self.full_kv_num_blocks.sum().item())
        computed = count * self.BLOCK_SIZE[0] * self.BLOCK_SIZE[1]
        return 100 * (1 - computed / self.numel())

    def to_dense(self) -> Tensor:
        """1 for each listed block, else 0: (B, H, rows, columns)."""
        width = self.kv_indices.shape[-1]
        dense = dense_blocks(self.kv_num_blocks, self.kv_indices, width)
        if self.full_kv_num_blocks is not None:
            dense = dense | dense_blocks(self.full_kv_num_blocks, self.full_kv_indices, width)
        return dense

    def _dense_blocks(self) -> tuple[Tensor, Tensor]:
        """Where the mask_mod is asked, and where all is seen: bools (B, H, L, S)."""
        width, rest = self.kv_indices.shape[-1], (self.BLOCK_SIZE, self.seq_lengths)
        partial = seen_places(self.kv_num_blocks, self.kv_indices, width, *rest)
        if self.full_kv_num_blocks is None:
            return partial, zeros_like(partial)
        full = seen_places(self.full_kv_num_blocks, self.full_kv_indices, width, *rest)
        return partial, full

    def _with(self, change: Callable[[Tensor], Tensor]) -> BlockMask:
        found = [getattr(self, name) for name in _TABLES]
        tables: list[Any] = [None if t is None else change(t) for t in found]
        settings: Any = {"BLOCK_SIZE": self.BLOCK_SIZE, "mask_mod": self.mask_mod}
        made = BlockMask(self.seq_lengths, *tables, **settings)
        made._by_function = self._by_function
        return made

    def __getitem__(self, index: Any) -> BlockMask:
        """Some of the batches and heads; a number keeps its dimension.

        The part's mask_mod raises until another is set: b and h count from 0 in the part.
        """
        index = index if isinstance(index, tuple) else (index,)
        if len(index) > 2:
            raise IndexError("a BlockMask is indexed by batch and head alone")
        kept = tuple(
            slice(i, i + 1 or None) if isinstance(i, int) and not isinstance(i, bool) else i
            for i in index
        )
        part = self._with(lambda t: t[kept])
        part.mask_mod = _sliced_mask_mod_error
        return part

    def to(self, device: Any) -> BlockMask:
        """The mask with its tables on another device."""
        return self._with(lambda t: t.to(device))

    def as_tuple(self, flatten: bool = True) -> tuple[Any, ...]:
        """Lengths, tables, block sizes and mask_mod; the pairs opened if `flatten`."""
        lengths, size = self.seq_lengths, self.BLOCK_SIZE
        tables = tuple(getattr(self, name) for name in _TABLES)
        if flatten:
            return (*lengths, *tables, *size, self.mask_mod)
        return (lengths, *tables, size, self.mask_mod)

    def __str__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%)"

    def __repr__(self) -> str:
        def text(name: str) -> str:
            table = getattr(self, name)
            return f"    {name}={None if table is None else f'torch.Size({list(table.shape)})'},\n"

        return (
            "BlockMask(\n"
            + "".join(text(name) for name in _TABLES)
            + f"    BLOCK_SIZE={self.BLOCK_SIZE},\n    shape={self.shape},\n"
            + f"    sparsity={self.sparsity():.2f}%,\n"
            + f"    mask_mod={getattr(self.mask_mod, '__name__', self.mask_mod)}\n)"
        )
