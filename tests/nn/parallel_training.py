"""Run by `test_parallel.py` in a process of its own, which has eight virtual CPU devices.

Prints a JSON object: what training on all of them and on one of them gave.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import numpy as np

import jtoolbox as jt
from jtoolbox import nn
from jtoolbox.engine import program_count

SETTINGS = {"SGD": {"lr": 0.05, "momentum": 0.9}, "Adam": {"lr": 0.01}}


def network() -> Any:
    """Linear without bias before BatchNorm: the bias has a gradient of rounding errors alone."""
    first = [nn.Linear(12, 32, bias=False), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3)]
    return nn.Sequential(*first, nn.Linear(32, 5))


def train(model: Any, optimizer: Any, sizes: list[int]) -> dict[str, Any]:
    """One step for each size of batch: the losses, and the programs made until then."""
    jt.manual_seed(1)
    rng = np.random.default_rng(0)
    criterion = nn.CrossEntropyLoss()
    losses, programs, start = [], [], program_count()
    for size in sizes:
        x = jt.tensor(rng.standard_normal((size, 12)).astype(np.float32))
        y = jt.tensor(rng.integers(0, 5, size))
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        programs.append(program_count() - start)
    return {"losses": losses, "programs": programs}


def everywhere(tensors: Any) -> list[bool]:
    """Whether each tensor lies whole on all eight devices."""
    arrays = [t.array for t in tensors]
    return [a.is_fully_replicated and len(a.devices()) == 8 for a in arrays]


def values(state: dict[str, Any]) -> dict[str, Any]:
    return {k: v.numpy().tolist() for k, v in state.items()}


def predictions(model: Any, rows: int) -> tuple[list[Any], int]:
    """What the model says in eval mode, and on how many devices parts of it lie."""
    x = jt.tensor(np.random.default_rng(2).standard_normal((rows, 12)).astype(np.float32))
    model.eval()
    with jt.no_grad():
        result = model(x)
    array = result.array
    return result.tolist(), 1 if array.is_fully_replicated else len(array.devices())


def both(name: str, sizes: list[int]) -> dict[str, Any]:
    """The same training on eight devices and on one."""
    found = {}
    state = {k: v.numpy().copy() for k, v in network().state_dict().items()}
    for kind in ("many", "one"):
        model = network()
        model.load_state_dict(state)
        if kind == "many":
            model = nn.DataParallel(model)
        optimizer = getattr(jt.optim, name)(model.parameters(), **SETTINGS[name])
        found[kind] = train(model, optimizer, sizes)
        slots = [
            t for s in optimizer.state.values() for t in s.values() if isinstance(t, jt.Tensor)
        ]
        found[kind] |= {
            "everywhere": everywhere([*model.state_dict().values()]),
            "slots": [t.numpy().tolist() for t in slots],
            "slots everywhere": everywhere(t for t in slots if t.dim()),
            "state": values(model.state_dict()),
            "eval": predictions(model, 16),
            "eval of 13": predictions(model, 13),
        }
    return found


def keys() -> dict[str, Any]:
    """State dicts of a wrapped model, read with and without PyTorch's prefix."""
    source = network().state_dict()
    model = nn.DataParallel(network())
    found: dict[str, Any] = {"keys": list(model.state_dict()), "source": values(source)}
    model.load_state_dict(source)
    found["plain"] = values(model.state_dict())
    model = nn.DataParallel(network())
    model.load_state_dict({f"module.{k}": v for k, v in source.items()})
    found["prefixed"] = values(model.state_dict())
    found["everywhere"] = everywhere(model.state_dict().values())
    return found


def some(device_ids: list[Any]) -> list[str]:
    """The devices that a model on some of them uses."""
    model = nn.DataParallel(network(), device_ids=device_ids)
    return sorted(str(jt.device(d)) for d in model(jt.ones(8, 12)).array.devices())


def absent() -> str:
    try:
        nn.DataParallel(network(), device_ids=[0, 8])
    except RuntimeError as error:
        return str(error)
    return ""


def main() -> None:
    report = {
        "devices": jax.local_device_count(),
        "SGD": both("SGD", [16] * 20),
        "Adam": both("Adam", [16] * 20),
        "uneven": both("SGD", [16, 13, 16, 13, 16]),
        "keys": keys(),
        "some": [some([0, 1, 2, 5]), some(["cpu:0", "cpu:3"])],
        "absent": absent(),
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
