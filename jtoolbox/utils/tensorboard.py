"""`torch.utils.tensorboard`: the writer of tensorboardX, when that is installed."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["SummaryWriter"]

MISSING = (
    "SummaryWriter needs tensorboardX, which writes what TensorBoard reads: pip install "
    "tensorboardX tensorboard"
)


def _on_host(value: Any) -> Any:
    """Tensors as NumPy arrays, also inside dicts, lists and tuples."""
    if hasattr(value, "_node"):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {k: _on_host(v) for k, v in value.items()}
    return type(value)(_on_host(v) for v in value) if type(value) in (list, tuple) else value


class SummaryWriter:
    """Writes scalars, histograms, images and text for TensorBoard, by tensorboardX's writer.

    All of that writer's methods (`add_scalar`, `add_image`, `close`, ...) are here and take
    Tensors. `add_graph` raises NotImplementedError. ImportError when tensorboardX is missing.
    """

    def __init__(self, log_dir: str | None = None, *args: Any, **kwargs: Any):
        try:
            writer = importlib.import_module("tensorboardX").SummaryWriter
        except ModuleNotFoundError as error:
            raise ImportError(MISSING, name="tensorboardX") from error
        self._writer = writer(log_dir, *args, **kwargs)
        self.log_dir = self._writer.logdir

    def add_graph(self, *args: Any, **kwargs: Any) -> None:
        """Not there: raises NotImplementedError."""
        raise NotImplementedError(
            "SummaryWriter.add_graph needs PyTorch's graph: print(model) or jtoolbox.summary(model)"
        )

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._writer.close()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.__dict__["_writer"], name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: found(*map(_on_host, args), **_on_host(kwargs))
