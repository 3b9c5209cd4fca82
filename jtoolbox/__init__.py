"""The PyTorch toolbox on JAX: `import jtoolbox as torch`."""

# ruff: noqa: F401, F403
from jtoolbox import (
    accelerator,
    autograd,
    backends,
    cuda,
    dtypes,
    func,
    linalg,
    logging,
    nn,
    optim,
    random,
    serialization,
    utils,
)
from jtoolbox import assembly as _assembly
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
from jtoolbox.func import tree, vmap
from jtoolbox.namespace import *
from jtoolbox.nn.functional import (
    adaptive_avg_pool1d,
    alpha_dropout,
    avg_pool1d,
    batch_norm,
    bilinear,
    binary_cross_entropy_with_logits,
    celu,
    conv1d,
    conv2d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    cosine_similarity,
    dropout,
    embedding,
    group_norm,
    hardshrink,
    instance_norm,
    layer_norm,
    log_softmax,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    pairwise_distance,
    prelu,
    relu,
    rms_norm,
    selu,
    softmax,
    threshold,
)
from jtoolbox.nn.functional.recurrent import gru, lstm, rnn_relu, rnn_tanh
from jtoolbox.nn.functional.recurrent_cells import (
    gru_cell,
    lstm_cell,
    rnn_relu_cell,
    rnn_tanh_cell,
)
from jtoolbox.ops import *
from jtoolbox.ops.methods import missing_name as _missing_name
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

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    raise AttributeError(_missing_name(name, [n for n in globals() if not n.startswith("_")]))
