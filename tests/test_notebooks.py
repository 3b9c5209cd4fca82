"""The notebooks run from top to bottom in this interpreter, and show what their text says."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "notebooks" / "01_toolbox.ipynb"


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tour after its execution, which raises the first error of a cell with its traceback.

    The kernel is the interpreter that runs the tests, whatever "python3" means to Jupyter here. It
    works in an empty folder, without the user's IPython settings.
    """
    folder = tmp_path_factory.mktemp("kernel")
    spec = folder / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": command, "display_name": "tests", "language": "python"}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_PATH", str(folder))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        return NotebookClient(
            nbformat.read(TOUR, as_version=4),
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
        ).execute()


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def printed(notebook: Any, stream: str = "stdout") -> str:
    return "".join(o.text for o in outputs(notebook) if o.get("name") == stream)


def numbers(notebook: Any, pattern: str) -> list[tuple[float, ...]]:
    """The numbers at "#" in the pattern, for each place in the printed text that it fits."""
    expression = re.escape(pattern).replace(r"\#", r"(-?[\d.,]+(?:e[-+]\d+)?)")
    found = re.findall(expression, printed(notebook))
    rows = [row if isinstance(row, tuple) else (row,) for row in found]
    return [tuple(float(number.replace(",", "")) for number in row) for row in rows]


def test_the_training_loss_falls(tour):
    [(first, last)] = numbers(tour, "loss: # at the first step, # in the last epoch")
    assert last < 0.05 * first


def test_the_trained_model_reads_digits(tour):
    [(percent,)] = numbers(tour, "test accuracy: #%")
    assert percent > 94


def test_a_changed_learning_rate_compiles_nothing(tour):
    assert numbers(tour, "programs compiled for the new lr: #") == [(0,)]


def test_jax_grad_gives_the_gradients_of_backward(tour):
    differences = numbers(tour, " largest difference #")
    assert len(differences) == 6
    assert all(difference < 1e-5 for (difference,) in differences)


def test_the_momentum_computed_by_hand_is_the_optimizers(tour):
    table = printed(tour).split("by hand   buffer\n")[1].splitlines()[:5]
    assert [line.split()[0] for line in table] == [line.split()[1] for line in table]


def test_plain_loop_jit_and_scan_end_at_the_same_loss(tour):
    [(plain, jitted, scanned)] = numbers(tour, "last losses: # # #")
    assert jitted == pytest.approx(plain, rel=1e-5)
    assert scanned == pytest.approx(plain, rel=1e-4)


def test_the_loaded_copy_is_as_good_as_the_saved_model(tour):
    [(model,)] = numbers(tour, "test accuracy of the model: #")
    assert numbers(tour, "test accuracy of the copy:  #") == [(model,)]


def test_every_picture_is_drawn(tour):
    pictures = [o for o in outputs(tour) if "image/png" in o.get("data", {})]
    calls = sum(len(re.findall(r"\bshow\(", cell.source)) for cell in tour.cells)
    assert len(pictures) == calls - 2  # the helper's definition has two of them


def test_nothing_is_warned_of(tour):
    lines = re.split(r"[\r\n]+", printed(tour, "stderr"))
    assert [line for line in lines if line and not line.startswith("training: ")] == []


def test_the_stored_notebook_is_small_and_was_executed_in_order():
    assert TOUR.stat().st_size < 1_000_000
    cells = [c for c in nbformat.read(TOUR, as_version=4).cells if c.cell_type == "code"]
    assert cells[0].source.startswith("import jtoolbox as torch")
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert all(output.output_type != "error" for cell in cells for output in cell.outputs)
