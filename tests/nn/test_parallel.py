"""DataParallel on eight virtual CPU devices trains as one device does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
# NPROC: XLA's threads. With as few as the machine's cores, collectives of 8 devices may starve.
ENVIRONMENT = {
    "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    "JAX_PLATFORMS": "cpu",
    "NPROC": "16",
    "JTOOLBOX_CACHE": "0",
}
OPTIMIZERS = ["SGD", "Adam"]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    command = [sys.executable, "-W", "error", "-m", "tests.nn.parallel_training"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_are_eight_devices(report):
    assert report["devices"] == 8


@pytest.mark.parametrize("case", [*OPTIMIZERS, "uneven"])
def test_losses_are_those_of_one_device(report, case):
    many, one = report[case]["many"], report[case]["one"]
    np.testing.assert_allclose(many["losses"], one["losses"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [*OPTIMIZERS, "uneven"])
def test_parameters_buffers_and_optimizer_state_are_those_of_one_device(report, case):
    many, one = report[case]["many"], report[case]["one"]
    for name, value in one["state"].items():
        np.testing.assert_allclose(many["state"][name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert len(many["slots"]) == len(one["slots"]) > 0
    for found, expected in zip(many["slots"], one["slots"], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("case", [*OPTIMIZERS, "uneven"])
def test_parameters_buffers_and_optimizer_state_stay_whole_on_every_device(report, case):
    assert all(report[case]["many"]["everywhere"])
    assert all(report[case]["many"]["slots everywhere"])


@pytest.mark.parametrize("case", OPTIMIZERS)
def test_the_second_step_and_all_later_ones_make_no_program(report, case):
    assert report[case]["many"]["programs"] == [1] * 20


def test_a_batch_that_does_not_divide_makes_one_program_for_its_size(report):
    assert np.diff(report["uneven"]["many"]["programs"]).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("case", [*OPTIMIZERS, "uneven"])
@pytest.mark.parametrize(("batch", "parts"), [("eval", 8), ("eval of 13", 1)])
def test_predictions_without_gradients_are_those_of_one_device(report, case, batch, parts):
    found, devices = report[case]["many"][batch]
    np.testing.assert_allclose(found, report[case]["one"][batch][0], rtol=1e-4, atol=1e-5)
    assert devices == parts


def test_the_state_dict_has_no_prefix_and_loads_with_and_without_one(report):
    keys = report["keys"]
    assert keys["keys"] == list(keys["source"])
    assert keys["plain"] == keys["source"]
    assert keys["prefixed"] == keys["source"]
    assert all(keys["everywhere"])


def test_device_ids_choose_the_devices(report):
    assert report["some"] == [["cpu:0", "cpu:1", "cpu:2", "cpu:5"], ["cpu:0", "cpu:3"]]


def test_a_device_id_that_is_not_there_is_an_error(report):
    assert report["absent"].startswith("device_ids has 8, but JAX has 8 cpu devices here")
