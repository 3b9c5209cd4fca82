"""Every layer prints as PyTorch's and has its `state_dict`: names, shapes, types and versions."""

from __future__ import annotations

import pytest
import torch

import jtoolbox as jt
from tests.nn.both import same

LAYERS = [
    "Identity()",
    "Linear(3, 4)",
    "Linear(3, 4, bias=False)",
    "Bilinear(2, 3, 4)",
    "Bilinear(2, 3, 4, bias=False)",
    "Embedding(10, 3)",
    "Embedding(10, 3, padding_idx=0, max_norm=1.0, scale_grad_by_freq=True)",
    "Conv1d(3, 4, 5)",
    "Conv2d(3, 4, 3, padding=1)",
    "Conv2d(4, 8, (3, 5), padding='same', groups=2, bias=False, padding_mode='reflect')",
    "Conv3d(2, 4, 3, stride=2, dilation=(1, 2, 3))",
    "ConvTranspose1d(3, 4, 5, stride=2, output_padding=1)",
    "ConvTranspose2d(3, 4, 5, stride=2, padding=1)",
    "ConvTranspose3d(2, 4, 3, groups=2)",
    "MaxPool1d(2)",
    "MaxPool2d(3, stride=2, padding=1, dilation=2, ceil_mode=True)",
    "MaxPool3d((1, 2, 2))",
    "AvgPool1d(2)",
    "AvgPool2d(3, stride=2, padding=1)",
    "AvgPool3d(2)",
    "AdaptiveAvgPool1d(3)",
    "AdaptiveAvgPool2d((None, 3))",
    "AdaptiveAvgPool3d(1)",
    "AdaptiveMaxPool1d(3)",
    "AdaptiveMaxPool2d(3)",
    "AdaptiveMaxPool3d(3)",
    "Flatten()",
    "Flatten(0, 2)",
    "Unflatten(1, (2, 3))",
    "ZeroPad2d(1)",
    "ConstantPad1d(2, 3.5)",
    "ReflectionPad2d((1, 2, 3, 4))",
    "ReplicationPad3d(1)",
    "CircularPad1d(1)",
    "BatchNorm1d(3)",
    "BatchNorm2d(3, affine=False)",
    "BatchNorm3d(3, eps=0.1, momentum=None, track_running_stats=False)",
    "LayerNorm(3)",
    "LayerNorm((3, 4), elementwise_affine=False)",
    "LayerNorm(3, bias=False)",
    "GroupNorm(2, 4)",
    "GroupNorm(2, 4, affine=False)",
    "InstanceNorm1d(3)",
    "InstanceNorm2d(3, affine=True, track_running_stats=True)",
    "InstanceNorm3d(3)",
    "RMSNorm(3)",
    "RMSNorm(3, eps=1e-6, elementwise_affine=False)",
    "LocalResponseNorm(2)",
    "Dropout()",
    "Dropout(0.2, inplace=True)",
    "Dropout1d(0.1)",
    "Dropout2d(0.1)",
    "Dropout3d(0.1)",
    "AlphaDropout(0.1)",
    "ReLU()",
    "ReLU(inplace=True)",
    "ReLU6()",
    "LeakyReLU(0.2)",
    "ELU()",
    "CELU()",
    "SELU()",
    "GELU()",
    "GELU(approximate='tanh')",
    "SiLU()",
    "Mish()",
    "Sigmoid()",
    "LogSigmoid()",
    "Tanh()",
    "Hardtanh()",
    "Hardswish()",
    "Hardsigmoid()",
    "Softplus()",
    "Softsign()",
    "Softmax(dim=1)",
    "LogSoftmax(dim=-1)",
    "Softmin(dim=1)",
    "PReLU()",
    "PReLU(4)",
    "Threshold(0.1, 20)",
    "CrossEntropyLoss()",
    "CrossEntropyLoss(ignore_index=3, label_smoothing=0.1)",
    "NLLLoss()",
    "MSELoss()",
    "MSELoss(reduction='sum')",
    "L1Loss()",
    "SmoothL1Loss()",
    "HuberLoss()",
    "BCELoss()",
    "BCEWithLogitsLoss()",
    "KLDivLoss(reduction='batchmean')",
    "Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Sequential(nn.BatchNorm2d(8), nn.Flatten()))",
    "ModuleList([nn.Linear(3, 3), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3)])",
    "ModuleDict({'body': nn.Sequential(nn.Linear(2, 2)), 'drop': nn.Dropout()})",
]


def build(lib, expression):
    """The layer that an expression makes in this library."""
    return eval(f"nn.{expression}", {"nn": lib.nn})


@pytest.mark.parametrize("expression", LAYERS)
def test_repr_is_pytorchs(expression):
    same(lambda lib: repr(build(lib, expression)))


def _state(lib, expression):
    state = build(lib, expression).state_dict()
    values = [(k, tuple(v.shape), str(v.dtype)) for k, v in state.items()]
    return values, dict(state._metadata)


@pytest.mark.parametrize("expression", LAYERS)
def test_state_dict_is_pytorchs(expression):
    same(lambda lib: _state(lib, expression))


@pytest.mark.parametrize("expression", LAYERS)
def test_settings_have_pytorchs_names_and_values(expression):
    ours, theirs = build(jt, expression), build(torch, expression)
    simple = (int, float, str, bool, type(None))
    settings = {
        name: value
        for name, value in theirs.__dict__.items()
        if not name.startswith("_") and isinstance(value, simple)
    }
    assert {name: getattr(ours, name, "absent") for name in settings} == settings
