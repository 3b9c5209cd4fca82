"""`torch.hub`: downloads code and weights, which is not done here; every function says so."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url",
           "set_dir"]  # fmt: skip

NO_CODE = (
    "torch.hub.{name} runs a repository's code, which is written for PyTorch. Install that package "
    "and run your script with `python -m jtoolbox run`, or copy the model's class; then load its "
    "weights with model.load_state_dict(torch.load(path))"
)
NO_DOWNLOAD = (
    "torch.hub.{name} is not supported: nothing is downloaded. Fetch {url} yourself and use "
    "torch.load(path)"
)
_folder: str | None = None


def get_dir() -> str:
    """Where PyTorch keeps downloads: $TORCH_HOME/hub, by default in ~/.cache/torch."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
    return _folder or os.path.join(os.path.expanduser(home), "hub")


def set_dir(d: str) -> None:
    """Sets what `get_dir` says."""
    global _folder
    _folder = os.path.expanduser(d)


def load(repo_or_dir: str, model: str, *args: Any, **kwargs: Any) -> Any:
    """Not there: raises NotImplementedError, which says what to do instead."""
    raise NotImplementedError(NO_CODE.format(name="load"))


def list(github: str, *args: Any, **kwargs: Any) -> Any:
    """Not there: raises NotImplementedError, which says what to do instead."""
    raise NotImplementedError(NO_CODE.format(name="list"))


def help(github: str, model: str, *args: Any, **kwargs: Any) -> Any:
    """Not there: raises NotImplementedError, which says what to do instead."""
    raise NotImplementedError(NO_CODE.format(name="help"))


def load_state_dict_from_url(url: str, *args: Any, **kwargs: Any) -> Any:
    """Not there: raises NotImplementedError, which says what to do instead."""
    raise NotImplementedError(NO_DOWNLOAD.format(name="load_state_dict_from_url", url=url))


def download_url_to_file(url: str, dst: str, *args: Any, **kwargs: Any) -> None:
    """Not there: raises NotImplementedError, which says what to do instead."""
    raise NotImplementedError(NO_DOWNLOAD.format(name="download_url_to_file", url=url))
