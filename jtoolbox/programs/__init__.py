"""Running PyTorch scripts unmodified: `python -m jtoolbox run`, `python -m jtoolbox check`."""

from jtoolbox.programs.check import check
from jtoolbox.programs.importing import install
from jtoolbox.programs.run import run

__all__ = ["check", "install", "run"]
