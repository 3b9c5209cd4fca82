"""The PyTorch toolbox on JAX: `import jtoolbox as torch`."""

# ruff: noqa: F401, F403
import importlib as _importlib

from jtoolbox import (
    __config__,
    accelerator,
    amp,
    autograd,
    backends,
    compiler,
    cpu,
    cuda,
    distributed,
    dtypes,
    fft,
    func,
    futures,
    hub,
    linalg,
    logging,
    masked,
    mps,
    multiprocessing,
    nested,
    nn,
    onnx,
    optim,
    overrides,
    profiler,
    quasirandom,
    random,
    serialization,
    signal,
    sparse,
    special,
    storage,
    testing,
    types,
    utils,
    version,
    xpu,
)
from jtoolbox import assembly as _assembly
from jtoolbox import foreach as _foreach
from jtoolbox.amp.autocast_mode import (
    autocast,
    autocast_decrement_nesting,
    autocast_increment_nesting,
    clear_autocast_cache,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    is_autocast_cache_enabled,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_cpu_dtype,
    set_autocast_cpu_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
    set_autocast_gpu_dtype,
)
from jtoolbox.amp.grad_scaler import GradScaler
from jtoolbox.autograd.anomaly_mode import is_anomaly_check_nan_enabled, is_anomaly_enabled
from jtoolbox.compilation import jit, scan
from jtoolbox.cuda import Event, OutOfMemoryError, Stream
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
    float4_e2m1fn_x2,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
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
from jtoolbox.in_place import *
from jtoolbox.legacy import *
from jtoolbox.namespace import *
from jtoolbox.namespace import _assert
from jtoolbox.nn.functional import (
    adaptive_avg_pool1d,
    avg_pool1d,
    bilinear,
    celu,
    celu_,
    channel_shuffle,
    conv1d,
    conv2d,
    conv3d,
    conv_tbc,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    cosine_similarity,
    hardshrink,
    log_softmax,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool3d,
    native_channel_shuffle,
    pairwise_distance,
    pdist,
    pixel_shuffle,
    pixel_unshuffle,
    prelu,
    relu,
    relu_,
    rms_norm,
    selu,
    selu_,
    softmax,
    threshold,
    threshold_,
)
from jtoolbox.nn.functional.recurrent import gru, lstm, rnn_relu, rnn_tanh
from jtoolbox.nn.functional.recurrent_cells import (
    gru_cell,
    lstm_cell,
    rnn_relu_cell,
    rnn_tanh_cell,
)
from jtoolbox.nn.functional.torch_names import (
    adaptive_max_pool1d,
    affine_grid_generator,
    alpha_dropout,
    alpha_dropout_,
    batch_norm,
    binary_cross_entropy_with_logits,
    constant_pad_nd,
    convolution,
    cosine_embedding_loss,
    ctc_loss,
    dropout,
    dropout_,
    embedding,
    feature_alpha_dropout,
    feature_alpha_dropout_,
    feature_dropout,
    feature_dropout_,
    grid_sampler,
    grid_sampler_2d,
    grid_sampler_3d,
    group_norm,
    hinge_embedding_loss,
    instance_norm,
    kl_div,
    layer_norm,
    margin_ranking_loss,
    poisson_nll_loss,
    rrelu,
    rrelu_,
    triplet_margin_loss,
)
from jtoolbox.nn.utils import stateless as _stateless
from jtoolbox.ops import *
from jtoolbox.ops import return_types
from jtoolbox.ops.methods import missing_name as _missing_name
from jtoolbox.ops.storage import TypedStorage, UntypedStorage
from jtoolbox.random import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from jtoolbox.serialization import load, save
from jtoolbox.sparse.functions import (
    abs,
    add,
    addmm,
    clone,
    div,
    dsmm,
    hspmm,
    matmul,
    mm,
    mul,
    mv,
    neg,
    pow,
    saddmm,
    smm,
    spmm,
    sqrt,
    sub,
    t,
    transpose,
)
from jtoolbox.sparse.layouts import (
    sparse_bsc_tensor,
    sparse_bsr_tensor,
    sparse_compressed_tensor,
    sparse_csc_tensor,
)
from jtoolbox.sparse.tensor import sparse_coo_tensor, sparse_csr_tensor
from jtoolbox.summary import summary
from jtoolbox.switches import *
from jtoolbox.symbols import *
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
    if name == "distributions":  # fifty modules that most programs do not need
        return _importlib.import_module("jtoolbox.distributions")
    if name.startswith(_foreach.PREFIX) and (function := _foreach.find(name)) is not None:
        return function
    raise AttributeError(_missing_name(name, [n for n in globals() if not n.startswith("_")]))
