"""`torch.autograd`: gradients, functions with a backward of their own, and what checks them."""

from jtoolbox.autograd import (
    anomaly_mode,
    forward_ad,
    function,
    functional,
    grad_mode,
    gradcheck_module,
    graph,
    profiler,
    variable,
)
from jtoolbox.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly
from jtoolbox.autograd.function import Function, backward, grad
from jtoolbox.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from jtoolbox.autograd.gradcheck_module import GradcheckError, gradcheck, gradgradcheck
from jtoolbox.autograd.variable import Variable

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "anomaly_mode",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradcheck_module",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "profiler",
    "set_detect_anomaly",
    "set_grad_enabled",
    "variable",
]
