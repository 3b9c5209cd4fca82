"""`python -m jtoolbox run` is plain Python with another torch; `check` runs nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from jtoolbox.__main__ import main
from jtoolbox.coverage import rows
from jtoolbox.programs.check import uses
from tests.programs.test_programs import python

SCRIPT = """
import importlib.util
import sys
import torch
import torch.nn as nn
from torch.nn.modules.conv import Conv2d
from torch.optim.sgd import SGD
from torch.utils.data import DataLoader, Dataset
import torch.jit, torch.backends.cudnn as cudnn
from torch.jit import script

class Squares(Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, i):
        return torch.tensor(float(i * i))

def main():
    print(sys.argv[1:], __name__, __file__ == sys.argv[0], torch.__version__, torch.nn is nn)
    print(Conv2d is nn.Conv2d, SGD is torch.optim.SGD, script(main) is main)
    print(importlib.util.find_spec("torch").name)
    print([x.tolist() for x in DataLoader(Squares(), batch_size=2, num_workers=1)])
    exec(sys.argv[1])

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scripts") / "script.py"
    path.write_text(SCRIPT)
    return path


def test_arguments_names_workers_and_exit_codes_are_as_with_python(script, tmp_path):
    done = python("-m", "jtoolbox", "run", str(script), "sys.exit(7)", tmp_path=tmp_path)
    assert done.returncode == 7, done.stderr
    assert done.stdout.splitlines() == [
        "['sys.exit(7)'] __main__ True 2.13.0 True",
        "True True True",
        "torch",
        "[[0.0, 1.0], [4.0, 9.0]]",
    ]


def test_a_missing_name_is_named_with_the_nearest_one(script, tmp_path):
    action = "from torch.nn import Linaer"
    done = python("-m", "jtoolbox", "run", str(script), action, tmp_path=tmp_path)
    assert done.returncode == 1
    assert "jtoolbox has no torch.nn.Linaer. The nearest is torch.nn.Linear." in done.stderr
    assert "programs/run.py" not in done.stderr.replace("\\", "/")
    assert f'File "{script}"' in done.stderr


def test_a_script_that_is_not_there_and_wrong_usage_give_exit_code_2(capsys):
    assert main(["run", "/nowhere/script.py"]) == 2
    assert "can't open file '/nowhere/script.py'" in capsys.readouterr().err
    assert main(["check", "/nowhere/script.py"]) == 2
    assert main([]) == 2
    assert "usage: python -m jtoolbox run" in capsys.readouterr().err


def found(source: str) -> dict[str, tuple[bool, str | None]]:
    return {use.name: (use.supported, use.nearest) for use in uses(source)}


def test_check_follows_aliases_and_names_what_is_absent():
    names = found(
        "import torch, numpy as np\n"
        "from torch import nn as layers\n"
        "import torch.nn.functional as F\n"
        "G = F\n"
        "x = layers.Linaer(2, 2)\n"
        "G.relu(x); F.reluu(x); np.reluuu(x); getattr(torch, 'onez')\n"
        "x.q_scale(); x.unsqueeze(0); x.split(',')\n"
        "torch.relu6(x)\n"
    )
    assert names["torch.nn.functional.relu"] == (True, None)
    assert names["torch.nn.Linaer"] == (False, "torch.nn.Linear")
    assert names["torch.nn.functional.reluu"] == (False, "torch.nn.functional.relu")
    assert names["torch.onez"] == (False, "torch.ones")
    assert names["torch.relu6"] == (False, "torch.nn.functional.relu6")
    assert names["Tensor.unsqueeze"] == (True, None)
    assert names["Tensor.q_scale"][0] is False
    assert not any("reluuu" in name or "split" in name for name in names)


def test_check_has_an_exit_code(tmp_path, capsys):
    good, bad, broken = (tmp_path / f"{n}.py" for n in ("good", "bad", "broken"))
    good.write_text("import torch\nprint(torch.ones(2))\n")
    bad.write_text("import torch\ntorch.onez(2)\n")
    broken.write_text("import torch(\n")
    assert [main(["check", str(p)]) for p in (good, bad, broken)] == [0, 1, 2]
    assert "absent     torch.onez  line 2  nearest: torch.ones" in capsys.readouterr().out
    assert main(["check", str(good), str(bad)]) == 1


def test_the_coverage_of_a_namespace_is_whole_and_gives_reasons():
    init, cuda = rows(["nn.init", "cuda"])
    assert not init.absent
    assert "is_available" in cuda.present
    assert cuda.left_out["CUDAGraph"].startswith("internals of CUDA")
    assert not {*cuda.present} & {*cuda.absent}


FILES = """
import torch
from safetensors.torch import load_file, safe_open, save_file

tensors = {"a": torch.arange(6.0).reshape(2, 3) * 2, "b": torch.ones(3, dtype=torch.bfloat16)}
save_file(tensors, "x.safetensors")
print({k: (v.dtype, v.tolist()) for k, v in sorted(load_file("x.safetensors").items())})
with safe_open("x.safetensors", framework="pt") as file:
    print(file.get_tensor("a").tolist(), file.get_slice("a")[:, 1:2].tolist())
"""


def test_the_library_of_safetensors_writes_and_reads_these_tensors(tmp_path):
    path = tmp_path / "files.py"
    path.write_text(FILES)
    done = python("-m", "jtoolbox", "run", str(path), tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "{'a': (torch.float32, [[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]), "
        "'b': (torch.bfloat16, [1.0, 1.0, 1.0])}",
        "[[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]] [[2.0], [8.0]]",
    ]
