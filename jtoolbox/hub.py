"""`torch.hub`: downloads code and weights, which is not done here; every function says so."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import urlparse

from tqdm import tqdm

__all__ = ["HASH_REGEX", "download_url_to_file", "get_dir", "help", "list", "load",
           "load_state_dict_from_url", "set_dir", "tqdm", "urlparse"]  # fmt: skip

NO_CODE = (
    "torch.hub.{name} runs a repository's code, which is written for PyTorch. Install that package "
    "and run your script with `python -m jtoolbox run`, or copy the model's class; then load its "
    "weights with model.load_state_dict(torch.load(path))"
)
NO_DOWNLOAD = (
    "torch.hub.{name} is not supported: nothing is downloaded. Fetch {url} yourself and use "
    "torch.load(path)"
)
# The hash in a file's name, `resnet18-f37072fd.pth`, by which downloads are checked.
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
_folder: str | None = None


def _get_torch_home() -> str:
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return os.path.expanduser(os.environ.get("TORCH_HOME", os.path.join(cache, "torch")))


def get_dir() -> str:
    """Where PyTorch keeps downloads: $TORCH_HOME/hub, by default in ~/.cache/torch."""
    return _folder or os.path.join(_get_torch_home(), "hub")


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
