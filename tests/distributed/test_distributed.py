"""Two processes train as one does, and exchange tensors."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jtoolbox as jt

ROOT = Path(__file__).parents[2]


def launch(size: int) -> list[dict[str, Any]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(size)}
    common |= {"JTOOLBOX_CACHE": "0", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "tests.distributed.worker"]
    started = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | common | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        done = [p.communicate(timeout=200) for p in started]
    finally:
        for p in started:
            p.kill()
    assert [p.returncode for p in started] == [0] * size, [error for _, error in done]
    return [json.loads(out.split("REPORT", 1)[1]) for out, _ in done]


@pytest.fixture(scope="module")
def reports() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    return launch(2), launch(1)[0]


def test_two_processes_train_as_one_does(reports):
    (first, second), alone = reports
    assert first["start"] == second["start"] == alone["start"]
    assert first["weights"] == second["weights"]
    np.testing.assert_allclose(first["losses"], alone["losses"], rtol=1e-4)
    for ours, theirs in zip(first["weights"], alone["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)


def test_processes_exchange_tensors_and_objects(reports):
    for report in reports[0]:
        assert report["parts"] == [[0.0, 2.0], [1.0, 2.0]]
        assert report["broadcast"] == [1.0, 2.0]
        assert report["objects"] == [{"rank": 0}, {"rank": 1}]


def test_mistakes_are_those_of_pytorch(monkeypatch):
    with pytest.raises(ValueError, match="has not been initialized"):
        jt.distributed.get_rank()
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match="environment variable RANK expected"):
        jt.distributed.init_process_group("gloo")
    with pytest.raises(ValueError, match="Invalid backend"):
        jt.distributed.init_process_group("foo")
    with pytest.raises(ValueError, match="has not been initialized"):
        jt.nn.parallel.DistributedDataParallel(jt.nn.Linear(2, 2))
