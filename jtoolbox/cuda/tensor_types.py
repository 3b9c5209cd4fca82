"""The old tensor classes of GPUs: `torch.cuda.FloatTensor(2, 3)`."""

from jtoolbox import dtypes
from jtoolbox.legacy import typed

__all__ = [
    *("BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor"),
    *("HalfTensor", "IntTensor", "LongTensor", "ShortTensor"),
]

FloatTensor = typed("FloatTensor", dtypes.float32, "cuda")
DoubleTensor = typed("DoubleTensor", dtypes.float64, "cuda")
HalfTensor = typed("HalfTensor", dtypes.float16, "cuda")
BFloat16Tensor = typed("BFloat16Tensor", dtypes.bfloat16, "cuda")
LongTensor = typed("LongTensor", dtypes.int64, "cuda")
IntTensor = typed("IntTensor", dtypes.int32, "cuda")
ShortTensor = typed("ShortTensor", dtypes.int16, "cuda")
CharTensor = typed("CharTensor", dtypes.int8, "cuda")
ByteTensor = typed("ByteTensor", dtypes.uint8, "cuda")
BoolTensor = typed("BoolTensor", dtypes.bool, "cuda")
