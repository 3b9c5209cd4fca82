"""GradScaler scales, unscales, skips and adapts as PyTorch's."""

from __future__ import annotations

import pytest
import torch

import jtoolbox as jt


def train(t, enabled=True):
    weight = t.ones(3).requires_grad_()
    optimizer = t.optim.Adam([weight], lr=0.1)
    scaler = t.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2, enabled=enabled)
    trace = []
    for i in range(5):
        optimizer.zero_grad()
        loss = (weight * t.tensor([1.0, 2.0, 3.0])).sum()
        if i == 2 and enabled:
            loss = loss * float("inf")
        scaled = scaler.scale(loss)
        scaled.backward()
        if i % 2:
            scaler.unscale_(optimizer)
            t.nn.utils.clip_grad_norm_([weight], 1.0)
        scaler.step(optimizer)
        scaler.update()
        trace.append((scaler.get_scale(), weight.detach().tolist()))
    return trace, scaler


@pytest.mark.parametrize("enabled", [True, False])
def test_scales_and_weights_are_those_of_pytorch(enabled):
    (ours, a), (theirs, b) = train(jt, enabled), train(torch, enabled)
    for (scale, weight), (their_scale, their_weight) in zip(ours, theirs, strict=True):
        assert scale == their_scale
        assert weight == pytest.approx(their_weight, rel=1e-4)
    assert a.state_dict() == b.state_dict()
    again = jt.amp.GradScaler("cpu", enabled=enabled)
    again.load_state_dict(b.state_dict())
    assert again.state_dict() == b.state_dict()


def test_mistakes_are_those_of_pytorch():
    for t in (jt, torch):
        weight = t.ones(2).requires_grad_()
        optimizer = t.optim.SGD([weight], lr=0.1)
        scaler = t.amp.GradScaler("cpu")
        with pytest.raises(AssertionError, match="Attempted step but _scale is None"):
            scaler.step(optimizer)
        scaler.scale(weight.sum()).backward()
        scaler.unscale_(optimizer)
        with pytest.raises(RuntimeError, match="already been called on this optimizer"):
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        with pytest.raises(RuntimeError, match=r"step\(\) has already been called"):
            scaler.step(optimizer)
        with pytest.raises(RuntimeError, match="source state dict is empty"):
            scaler.load_state_dict({})
        with pytest.raises(AssertionError, match="growth factor must be > 1"):
            t.amp.GradScaler("cpu", growth_factor=0.5)


@pytest.mark.filterwarnings("ignore:(?s).*(is not available|there is none here):UserWarning")
@pytest.mark.parametrize("name", ["GradScaler", "autocast", "custom_fwd", "custom_bwd"])
def test_the_older_names_for_gpus_warn_as_in_pytorch(name):
    argument = () if name in ("GradScaler", "autocast") else (abs,)
    for lib in (jt, torch):
        with pytest.warns(FutureWarning, match=rf"`torch.cuda.amp.{name}.* is deprecated"):
            getattr(lib.cuda.amp, name)(*argument)
