"""Scripts in the style of public tutorials run unmodified, and do what they do with PyTorch."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
ENVIRONMENT = {"JTOOLBOX_CACHE": "0", "JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": "1"}
# Script, arguments, a pattern of its last line, and what must hold of the number in it.
SCRIPTS = {
    "digits": (["--epochs", "3", "--lr", "0.1"], r"\((\d+)%\)\s*$", lambda n: n >= 80),
    "characters": (
        ["{tmp}/model.pt"],
        r"loss ([\d.]+)\nwrote 'the quick brown fox",
        lambda n: n < 1,
    ),
    "reinforce": ([], r"Average reward: (-?[\d.]+)", lambda n: n > 0.3),
    "dcgan": ([], r"D\(x\): ([\d.]+)", lambda n: 0 < n < 1),
}
COMMANDS = {"torch": [], "jtoolbox": ["-m", "jtoolbox", "run"]}


def python(*arguments: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("library", COMMANDS)
def test_a_tutorial_runs_unmodified(name, library, tmp_path):
    arguments, pattern, holds = SCRIPTS[name]
    given = [a.format(tmp=tmp_path) for a in arguments]
    done = python(*COMMANDS[library], str(FOLDER / f"{name}.py"), *given, tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr
    found = re.search(pattern, done.stdout)
    assert found is not None, done.stdout
    assert holds(float(found[1])), done.stdout
