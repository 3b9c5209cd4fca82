"""What PyTorch calls the nodes of its backward graph, and how it composes operations of others.

One rule makes `AddBackward0` of `add` and `MaxPool2DBackward0` of `max_pool2d`. The table below has
the operations of which PyTorch's name depends on more, or that are several nodes there. An entry is
a name without its "Backward0", or a function of the call that gives one, or a tuple: the name of a
node followed by what lies behind it (an operand's number, another such tuple, None for a number).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jtoolbox.engine.graph import Aval, Call

__all__ = ["backward_name", "described", "full_name"]


class Site:
    """A call as the table's functions look at it: static arguments by name, shapes of operands."""

    def __init__(self, call: Call):
        o = call.op
        self.statics = dict(zip([o.names[i] for i in o.statics], call.statics, strict=False))
        self.operands = call.avals

    def __getitem__(self, name: str) -> Any:
        return self.statics.get(name)

    def rank(self, k: int) -> int:
        """The number of dimensions of operand k, -1 for a number or None."""
        aval = self.operands[k] if k < len(self.operands) else None
        return len(aval.shape) if isinstance(aval, Aval) else -1

    def number(self, k: int) -> bool:
        """Whether operand k is a Python number."""
        return k < len(self.operands) and isinstance(self.operands[k], type)


Shape = Any  # a name or a tuple, as described above
Entry = str | tuple[Any, ...] | Callable[[Site], Shape]


def full_name(name: str) -> str:
    """A name of the table in full."""
    return name if "Backward" in name or ":" in name else name + "Backward0"


def backward_name(name: str) -> str:
    """PyTorch's way of naming nodes: add -> AddBackward0, log1p -> Log1PBackward0."""
    return name.title().replace("_", "") + "Backward0"


def described(call: Call) -> Shape:
    """The entry of a call: the full name of its node, or a tuple whose head is one in short."""
    entry = None if call.op is None else TABLE.get(call.op.name)
    if entry is None:
        return call.name
    return entry(Site(call)) if callable(entry) else entry


def _linear(site: Site) -> Shape:
    x: Shape = 0
    weight = ("T", 1)
    bias = site.operands[2] is not None
    if site.rank(0) == 2:
        return ("Addmm", 2, x, weight) if bias else ("Mm", x, weight)
    if bias:
        return ("View", ("Addmm", 2, ("View", x), weight))
    if site.rank(0) == 1:
        return ("SqueezeBackward4", ("Mm", ("Unsqueeze", x), weight))
    return ("UnsafeView", ("Mm", ("View", x), weight))


def _matmul(site: Site) -> Shape:
    a, b = site.rank(0), site.rank(1)
    if a > 2 and b > 2:
        return ("UnsafeView", ("Bmm", ("View", ("Expand", 0)), ("View", ("Expand", 1))))
    known: dict[tuple[int, int], Shape] = {
        (1, 1): ("Dot", 0, 1),
        (2, 1): ("Mv", 0, 1),
        (1, 2): ("SqueezeBackward4", ("Mm", ("Unsqueeze", 0), 1)),
        (2, 2): ("Mm", 0, 1),
    }
    if (a, b) in known:
        return known[a, b]
    if b <= 2:
        return ("UnsafeView", (("Mm" if b == 2 else "Mv"), ("View", 0), 1))
    return "Clone" if a == 2 else "UnsafeView"


def _cross_entropy(site: Site) -> Shape:
    target, rank = site.operands[1], site.rank(0)
    if isinstance(target, Aval) and target.inexact:
        mean = ("DivBackward1", ("Neg", ("Sum", ("Mul", ("LogSoftmax", 0), 1))), None)
        return mean if site["reduction"] == "mean" else "Neg"
    if site["label_smoothing"]:
        return "Add"
    return ("NllLoss" if rank <= 2 else "NllLoss2D", ("LogSoftmax", 0))


def _reduced(name: str) -> Callable[[Site], Shape]:
    """The last node of a loss that PyTorch composes: its reduction, or else this one."""
    return lambda site: {"mean": "Mean", "sum": "Sum"}.get(str(site["reduction"]), name)


def _l1_loss(site: Site) -> Shape:
    inner = ("Abs", ("Sub", 0, 1))
    return {"mean": ("Mean", inner), "sum": ("Sum", inner)}.get(str(site["reduction"]), inner)


def _given(name: str, static: str, number: int = 1) -> Callable[[Site], Shape]:
    """The overload of this number where the static argument is given."""
    return lambda site: f"{name}Backward{number}" if site[static] is not None else name


def _overload(name: str, operand: int, given: int = 1, number: int = 0) -> Callable[[Site], Shape]:
    """One overload for a Tensor as this operand, another one for a number."""
    return lambda site: f"{name}Backward{number if site.number(operand) else given}"


def _squeeze(site: Site) -> Shape:
    if site["dim"] is None:
        return "Squeeze"
    return "SqueezeBackward1" if isinstance(site["dim"], int) else "SqueezeBackward2"


def _clamp(site: Site) -> Shape:
    if site.rank(1) >= 0 or site.rank(2) >= 0:
        return "Clamp"
    return "ClampBackward1"


def _pow(site: Site) -> Shape:
    if site.number(0):
        return "PowBackward2"
    return "Pow" if site.number(1) or len(site.operands) == 1 else "PowBackward1"


def _slice(site: Site) -> Shape:
    """The last of the steps that PyTorch takes, which go through the dimensions in order."""
    name = "Alias"
    for entry in site["layout"] or ():
        if entry is None:
            name = "Unsqueeze"
        elif isinstance(entry, tuple):
            name = "Select" if entry[1] is None else "Slice"
    return name if name != "Alias" or not site["layout"] else "Slice"


def _pad(site: Site) -> Shape:
    if (mode := site["mode"]) in ("reflect", "replicate"):
        kind = "Reflection" if mode == "reflect" else "Replication"
        return f"{kind}Pad{len(site['pad']) // 2}D"
    return "ConstantPadNd" if mode == "constant" else ("torch::autograd::CopySlices", 0)


def _interpolate(site: Site) -> Shape:
    dims, mode = site.rank(0) - 2, site["mode"]
    if mode == "area":
        return f"AdaptiveAvgPool{dims}D" if dims > 1 else "SqueezeBackward1"
    name = {"nearest-exact": "NearestExact"}.get(mode, str(mode).capitalize())
    return f"Upsample{name}{dims}D{'Aa' if site['antialias'] else ''}"


def _recurrent(site: Site) -> Shape:
    return "MkldnnRnnLayer" if "LSTM" in repr(site["layout"]).upper() else "Stack"


def _pooled(name: str) -> Callable[[Site], Shape]:
    return lambda site: name.format(site.rank(0) - len(site["output_size"] or ()))


def _mean_if_one(name: str) -> Callable[[Site], Shape]:
    """PyTorch takes the mean where each channel has one place in the result."""
    return lambda site: (
        "MeanBackward1" if site["output_size"] in (1, (1, 1), (1, 1, 1), (1,)) else name
    )


def _sub(site: Site) -> Shape:
    return ("RsubBackward1", 1) if site.number(0) else ("Sub", 0, 1)


def _div(site: Site) -> Shape:
    if site.number(0):
        return ("Mul", ("Reciprocal", 1), None)
    return ("DivBackward2", 0, 1) if site["rounding_mode"] else ("Div", 0, 1)


def _conv(site: Site) -> Shape:
    return ("Convolution", 0, 1, 2)


def _unfold(site: Site) -> Shape:
    return "Im2Col" if site["kernel_size"] is not None else "Unfold"


def _normalize(site: Site) -> Shape:
    return ("Div", 0, ("Expand", ("ClampMin", ("LinalgVectorNorm", 0))))


_NOT_IMPLEMENTED = "torch::autograd::NotImplemented"
_SEVERAL = "SqueezeBackward4"

TABLE: dict[str, Entry] = {
    # Arithmetic
    **{"add": ("Add", 0, 1), "mul": ("Mul", 0, 1), "sub": _sub, "div": _div},
    **{"square": "Pow", "_pow": _pow, "pow": _pow, "float_power": _pow, "clamp": _clamp},
    **{"fmod": _overload("Fmod", 1), "remainder": _overload("Remainder", 1)},
    **{"lerp": _overload("Lerp", 2), "masked_fill": _overload("MaskedFill", 2)},
    **{"fill": _overload("Fill", 1, given=3, number=2), "where": ("Where", 1, 2)},
    **{"xlogy": lambda site: f"XlogyBackward{1 if site.number(0) else 2 * site.number(1)}"},
    **{"_where": ("Where", 1, 2), "floor_divide": _NOT_IMPLEMENTED, "heaviside": _NOT_IMPLEMENTED},
    **{"_polygamma": "Polygamma", "ndtr": "MulBackward1", "scatter": _overload("Scatter", 2, 0, 1)},
    **{
        name: "Special" + name.title().replace("_", "")
        for name in ("entr", "ndtri", "log_ndtr", "i0e", "i1", "i1e", "erfcx", "xlog1py", "zeta")
    },
    # Products
    **{"linear": _linear, "matmul": _matmul, "outer": ("Mul", ("View", 0), 1)},
    **{"inner": "View", "_tensordot": "View", "_multi_dot": "View", "kron": "UnsafeView"},
    **{"vecdot": ("SumBackward1", ("Mul", 0, 1)), "matrix_power": "Mm", "bilinear": "Add"},
    "_einsum": lambda site: "View" if len(site.operands) > 1 else "Permute",
    # Reductions
    **{n: _given(n.capitalize(), "dim") for n in ("sum", "mean", "prod", "median", "nanmedian")},
    "max": lambda site: "Max" if site["dim"] is not None else "MaxBackward1",
    "min": lambda site: "Min" if site["dim"] is not None else "MinBackward1",
    **{"norm": "LinalgVectorNorm", "vector_norm": "LinalgVectorNorm", "nanmean": "Div"},
    **{"matrix_norm": "LinalgVectorNorm", "quantile": _SEVERAL, "nanquantile": _SEVERAL},
    **{"_std": "Std", "_var": "Var", "_std_mean": "StdMean", "_var_mean": "VarMean"},
    **{"cov": "Squeeze", "corrcoef": "ClampBackward1", "diff": "Sub", "trapezoid": "MulBackward1"},
    **{"cumulative_trapezoid": "Cumsum", "gradient": "Cat", "unique": "Unique2"},
    # Shapes
    **{"reshape": "View", "flatten": "View", "unflatten": "View", "slice": _slice},
    **{"squeeze": _squeeze, "_expand": "Expand", "_adjoint": "Transpose", "diag": "Diagonal"},
    **{"copy_slices": ("torch::autograd::CopySlices", 0, 1), "fftshift": "Roll"},
    **{"ifftshift": "Roll", "view_dtype": "View", "_meshgrid": "Expand", "vander": "Flip"},
    **{"cartesian_prod": "Stack", "real": "Select", "imag": "Select", "_block_diag": "BlockDiag"},
    **{"repeat_interleave": "View", "take_along_dim": "Gather", "unfold": _unfold},
    "copy": ("torch::autograd::CopyBackwards", 0, 1),
    # Linear algebra
    **{
        name: "Linalg" + name.title().replace("_", "")
        for name in (
            *("matrix_exp", "pinv", "det", "slogdet", "inv_ex", "qr", "svd", "eigh", "eig"),
            *("cholesky_ex", "lstsq", "cross", "lu", "lu_factor_ex", "lu_solve", "solve_ex"),
            *("solve_triangular", "householder_product"),
        )
    },
    **{"inv": "LinalgInvEx", "svdvals": "LinalgSvd", "eigvals": "LinalgEig", "logdet": "Where"},
    **{"eigvalsh": "LinalgEigh", "cholesky": "LinalgCholeskyEx", "solve": "LinalgSolveEx"},
    **{"cond": "SqueezeBackward1", "tensorsolve": "View", "stft": _SEVERAL},
    # Layers
    **{f"conv{n}d": _conv for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _conv for n in (1, 2, 3)},
    **{"max_pool1d": "SqueezeBackward1", "avg_pool1d": "SqueezeBackward1"},
    **{"max_pool2d": "MaxPool2DWithIndices", "max_pool3d": "MaxPool3DWithIndices"},
    **{"adaptive_avg_pool1d": "SqueezeBackward1", "adaptive_max_pool1d": "SqueezeBackward1"},
    **{f"adaptive_avg_pool{n}d": _mean_if_one(f"AdaptiveAvgPool{n}D") for n in (2, 3)},
    "fractional_max_pool": lambda site: f"FractionalMaxPool{len(site['kernel'] or (0, 0))}D",
    "max_unpool": lambda site: f"MaxUnpool{len(site['output_size'])}D",
    **{f"lp_pool{n}d": "Pow" for n in (1, 2, 3)},
    **{"pad": _pad, "interpolate": _interpolate, "fold": "Col2Im"},
    "grid_sampler": lambda site: f"GridSampler{site.rank(0) - 2}D",
    **{"dropout": ("Mul", 0, None), "alpha_dropout": "Add", "normalize": _normalize},
    "batch_norm": lambda site: ("NativeBatchNorm", 0, *range(len(site.operands))[-2:]),
    **{"layer_norm": ("NativeLayerNorm", 0, 1, 2), "group_norm": ("NativeGroupNorm", 0, 1, 2)},
    **{"instance_norm": "View", "rms_norm": "Mul", "local_response_norm": "Div"},
    "scaled_dot_product_attention": (("ScaledDotProductFlashAttentionForCpu", 0, 1, 2)),
    **{"out_projection": "View", "recurrent": _recurrent, "embedding_bag": ("EmbeddingBag", 1, 3)},
    "recurrent_cell": lambda site: {"LSTM": "Mul", "GRU": "Add"}.get(str(site["mode"]), "Tanh"),
    **{"selu": "Elu", "prelu": ("PreluKernel", 0, ("View", 1)), "logsigmoid": "LogSigmoid"},
    **{"rrelu": "RreluWithNoise", "tanhshrink": "Sub", "softsign": "Div", "softmin": "Softmax"},
    "gumbel_softmax": lambda site: "Add" if site["hard"] else "Softmax",
    # Losses
    **{"cross_entropy": _cross_entropy, "l1_loss": _l1_loss, "cosine_similarity": "SumBackward1"},
    "nll_loss": lambda site: "NllLoss" if site.rank(0) <= 2 else "NllLoss2D",
    "pairwise_distance": "NormBackward1",
    **{
        name: _reduced(last)
        for name, last in (
            *(("kl_div", "Sub"), ("poisson_nll_loss", "Sub"), ("gaussian_nll_loss", "Mul")),
            *(("hinge_embedding_loss", "Add"), ("margin_ranking_loss", "ClampMin")),
            *(("cosine_embedding_loss", "Add"), ("triplet_margin_loss", "ClampMin")),
            *(("triplet_margin_with_distance_loss", "ClampMin"), ("ctc_loss", "CtcLoss")),
            *(("multilabel_soft_margin_loss", "Div"),),
        )
    },
    # Parametrizations
    **{"weight_norm_weight": "WeightNormInterface", "spectral_norm_weight": "Div"},
    "orthogonal_weight": "Mm",
}
