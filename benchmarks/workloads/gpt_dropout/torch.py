"""The transformer with dropout in PyTorch's words; `torch` is PyTorch or jtoolbox."""

from benchmarks.workloads.gpt import torch as plain
from benchmarks.workloads.gpt.torch import loss  # noqa: F401
from benchmarks.workloads.gpt_dropout import P


def build(torch):
    return plain.build(torch, P)
