"""Optimizers under PyTorch's names."""

from jtoolbox.optim import lr_scheduler, swa_utils
from jtoolbox.optim.adadelta import Adadelta
from jtoolbox.optim.adafactor import Adafactor
from jtoolbox.optim.adagrad import Adagrad
from jtoolbox.optim.adam import Adam
from jtoolbox.optim.adamax import Adamax
from jtoolbox.optim.adamw import AdamW
from jtoolbox.optim.asgd import ASGD
from jtoolbox.optim.lbfgs import LBFGS
from jtoolbox.optim.muon import Muon
from jtoolbox.optim.nadam import NAdam
from jtoolbox.optim.optax import Optax
from jtoolbox.optim.optimizer import Optimizer
from jtoolbox.optim.plotting import plot_schedule, trace_schedule
from jtoolbox.optim.radam import RAdam
from jtoolbox.optim.rmsprop import RMSprop
from jtoolbox.optim.rprop import Rprop
from jtoolbox.optim.sgd import SGD
from jtoolbox.optim.sparse_adam import SparseAdam

__all__ = [
    "ASGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "LBFGS",
    "Muon",
    "NAdam",
    "Optax",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "SparseAdam",
    "lr_scheduler",
    "plot_schedule",
    "swa_utils",
    "trace_schedule",
]
