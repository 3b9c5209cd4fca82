"""Stands in for PyTorch in processes that a script started, and gives way to jtoolbox."""

from jtoolbox.programs.importing import install

install()
