"""The functions of the torch namespace: pure functions of arrays that the engine records."""

# ruff: noqa: F403
from jtoolbox.ops import (
    arithmetic,
    bitwise,
    calculus,
    choosing,
    comparison,
    complex_numbers,
    contraction,
    copies,
    creation,
    elementwise,
    factorizations,
    gathering,
    householder,
    index_write,
    indexing,
    joining,
    linalg,
    lowrank,
    matrices,
    norms,
    positive_definite,
    products,
    ranges,
    rearrange,
    reduction,
    reinterpret,
    sampling,
    sampling_like,
    scan,
    scattering,
    segments,
    shape,
    short_time,
    sorting,
    special,
    spectral,
    splitting,
    statistics,
    strided,
    variance,
    windows,
)
from jtoolbox.ops.arithmetic import *
from jtoolbox.ops.bitwise import *
from jtoolbox.ops.calculus import *
from jtoolbox.ops.choosing import *
from jtoolbox.ops.comparison import *
from jtoolbox.ops.complex_numbers import *
from jtoolbox.ops.contraction import *
from jtoolbox.ops.conversion import clone
from jtoolbox.ops.copies import *
from jtoolbox.ops.creation import *
from jtoolbox.ops.elementwise import *
from jtoolbox.ops.factorizations import *
from jtoolbox.ops.gathering import *
from jtoolbox.ops.householder import *
from jtoolbox.ops.index_write import *
from jtoolbox.ops.indexing import *
from jtoolbox.ops.joining import *
from jtoolbox.ops.linalg import *
from jtoolbox.ops.lowrank import *
from jtoolbox.ops.matrices import *
from jtoolbox.ops.norms import *
from jtoolbox.ops.positive_definite import *
from jtoolbox.ops.printing import get_printoptions, set_printoptions
from jtoolbox.ops.probability import igamma, igammac
from jtoolbox.ops.products import *
from jtoolbox.ops.ranges import *
from jtoolbox.ops.rearrange import *
from jtoolbox.ops.reduction import *
from jtoolbox.ops.reinterpret import *
from jtoolbox.ops.sampling import *
from jtoolbox.ops.sampling_like import *
from jtoolbox.ops.scan import *
from jtoolbox.ops.scattering import *
from jtoolbox.ops.segments import *
from jtoolbox.ops.shape import *
from jtoolbox.ops.short_time import *
from jtoolbox.ops.sorting import *
from jtoolbox.ops.special import *
from jtoolbox.ops.spectral import *
from jtoolbox.ops.splitting import *
from jtoolbox.ops.statistics import *
from jtoolbox.ops.strided import *
from jtoolbox.ops.variance import *
from jtoolbox.ops.windows import *

__all__ = ["clone", "get_printoptions", "igamma", "igammac", "set_printoptions"]
__all__ += arithmetic.__all__
__all__ += bitwise.__all__
__all__ += calculus.__all__
__all__ += choosing.__all__
__all__ += comparison.__all__
__all__ += complex_numbers.__all__
__all__ += contraction.__all__
__all__ += copies.__all__
__all__ += creation.__all__
__all__ += elementwise.__all__
__all__ += factorizations.__all__
__all__ += gathering.__all__
__all__ += householder.__all__
__all__ += index_write.__all__
__all__ += indexing.__all__
__all__ += joining.__all__
__all__ += linalg.__all__
__all__ += lowrank.__all__
__all__ += matrices.__all__
__all__ += norms.__all__
__all__ += positive_definite.__all__
__all__ += products.__all__
__all__ += ranges.__all__
__all__ += rearrange.__all__
__all__ += reduction.__all__
__all__ += reinterpret.__all__
__all__ += sampling.__all__
__all__ += sampling_like.__all__
__all__ += scan.__all__
__all__ += scattering.__all__
__all__ += segments.__all__
__all__ += shape.__all__
__all__ += short_time.__all__
__all__ += sorting.__all__
__all__ += special.__all__
__all__ += spectral.__all__
__all__ += splitting.__all__
__all__ += statistics.__all__
__all__ += strided.__all__
__all__ += variance.__all__
__all__ += windows.__all__
