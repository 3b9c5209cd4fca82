"""Helpers around training: loading data."""

from jtoolbox.utils import data

__all__ = ["data"]
