"""The PyTorch toolbox on JAX: `import jtoolbox as torch`."""

# ruff: noqa: F401, F403
from jtoolbox import assembly as _assembly
from jtoolbox import autograd, dtypes, func, linalg, logging, nn, optim, random, utils
from jtoolbox.compilation import jit, scan
from jtoolbox.devices import device, set_default_device
from jtoolbox.dtypes import (
    bfloat16,
    bool,
    cdouble,
    cfloat,
    complex64,
    complex128,
    double,
    dtype,
    float,
    float16,
    float32,
    float64,
    get_default_dtype,
    half,
    int,
    int8,
    int16,
    int32,
    int64,
    long,
    set_default_dtype,
    short,
    uint8,
    uint16,
    uint32,
    uint64,
)
from jtoolbox.engine import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    synchronize,
)
from jtoolbox.func import tree
from jtoolbox.ops import *
from jtoolbox.random import Generator, default_generator, initial_seed, manual_seed, seed
from jtoolbox.serialization import load, save
from jtoolbox.summary import summary
from jtoolbox.tensor import (
    Size,
    Tensor,
    as_tensor,
    asarray,
    from_dlpack,
    from_numpy,
    is_tensor,
    tensor,
)
