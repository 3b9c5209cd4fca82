"""Every layer of `jtoolbox.nn` once: how it is made, and what it is called with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Entry(NamedTuple):
    """`nn.<text>`, called with `inputs`."""

    text: str
    inputs: tuple[np.ndarray, ...]

    @property
    def name(self) -> str:
        return self.text.partition("(")[0]


def x(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def p(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(0.1, 0.9, shape).astype(np.float32)


CLASSES = np.array([0, 2, 1, 2])
SIGNS = np.array([1.0, -1.0, -1.0, 1.0], np.float32)
LINE, IMAGE, VOLUME = x(2, 4, 6), x(2, 4, 6, 6), x(2, 4, 4, 4, 4)
BY_DIMENSION = {1: LINE, 2: IMAGE, 3: VOLUME}
WORDS = np.array([[1, 2, 0], [4, 3, 1]])


def each_dimension(*texts: str) -> list[Entry]:
    """Entries for texts with {} in the place of the number of dimensions."""
    return [Entry(t.format(d), (v,)) for t in texts for d, v in BY_DIMENSION.items()]


ACTIVATIONS = (
    "CELU() ELU() GELU() GLU() SELU() Hardshrink() Hardsigmoid() Hardswish() Hardtanh() "
    "LeakyReLU(0.1) LogSigmoid() LogSoftmax(1) Mish() PReLU() ReLU() ReLU6() Sigmoid() SiLU() "
    "Softmax(1) Softmin(1) Softplus() Softshrink() Softsign() Tanh() Tanhshrink() "
    "Threshold(0.1,2.0)"
)
REGRESSION = "HuberLoss L1Loss MSELoss SmoothL1Loss PoissonNLLLoss KLDivLoss"
SEQUENCE, TARGETS = x(3, 2, 4), x(2, 2, 4)

CATALOGUE = [
    *(Entry(text, (x(2, 4),)) for text in ACTIVATIONS.split()),
    Entry("Softmax2d()", (IMAGE,)),
    Entry("RReLU()", (x(2, 4),)),
    Entry("Identity()", (x(2, 4),)),
    Entry("Linear(4, 3)", (x(2, 4),)),
    Entry("LazyLinear(3)", (x(2, 4),)),
    Entry("Bilinear(4, 3, 2)", (x(2, 4), x(2, 3))),
    *each_dimension("Conv{}d(4, 2, 3)", "ConvTranspose{}d(4, 2, 2)"),
    *each_dimension("LazyConv{}d(2, 3)", "LazyConvTranspose{}d(2, 2)"),
    *each_dimension("BatchNorm{}d(4)", "InstanceNorm{}d(4, affine=True)"),
    *each_dimension("LazyBatchNorm{}d()", "LazyInstanceNorm{}d(affine=True)"),
    Entry("GroupNorm(2, 4)", (LINE,)),
    Entry("LayerNorm(6)", (LINE,)),
    Entry("RMSNorm(6)", (LINE,)),
    Entry("LocalResponseNorm(2)", (IMAGE,)),
    Entry("CrossMapLRN2d(2)", (IMAGE,)),
    *each_dimension("MaxPool{}d(2)", "AvgPool{}d(2)", "LPPool{}d(2, 2)"),
    *each_dimension("AdaptiveAvgPool{}d(2)", "AdaptiveMaxPool{}d(2)"),
    Entry("FractionalMaxPool2d(2, output_size=3)", (IMAGE,)),
    Entry("FractionalMaxPool3d(2, output_size=2)", (VOLUME,)),
    Entry("MaxUnpool1d(2)", (x(1, 1, 2), np.array([[[1, 2]]]))),
    Entry("MaxUnpool2d(2)", (x(1, 1, 1, 2), np.array([[[[1, 6]]]]))),
    Entry("MaxUnpool3d(2)", (x(1, 1, 1, 1, 2), np.array([[[[[1, 6]]]]]))),
    *each_dimension("CircularPad{}d(1)", "ConstantPad{}d(1, 2.0)", "ReflectionPad{}d(1)"),
    *each_dimension("ReplicationPad{}d(1)", "ZeroPad{}d(1)"),
    Entry("Dropout()", (LINE,)),
    *each_dimension("Dropout{}d()"),
    Entry("AlphaDropout()", (LINE,)),
    Entry("FeatureAlphaDropout()", (LINE,)),
    Entry("Embedding(5, 3)", (WORDS,)),
    Entry("EmbeddingBag(5, 3)", (WORDS,)),
    Entry("Flatten()", (LINE,)),
    Entry("Unflatten(1, (2, 2))", (LINE,)),
    Entry("Fold((3, 3), (2, 2))", (x(2, 4, 4),)),
    Entry("Unfold((2, 2))", (IMAGE,)),
    Entry("ChannelShuffle(2)", (IMAGE,)),
    Entry("PixelShuffle(2)", (IMAGE,)),
    Entry("PixelUnshuffle(2)", (IMAGE,)),
    Entry("Upsample(scale_factor=2)", (IMAGE,)),
    Entry("UpsamplingBilinear2d(scale_factor=2)", (IMAGE,)),
    Entry("UpsamplingNearest2d(scale_factor=2)", (IMAGE,)),
    Entry("CosineSimilarity()", (x(2, 4), p(2, 4))),
    Entry("PairwiseDistance()", (x(2, 4), p(2, 4))),
    Entry("RNN(4, 3)", (SEQUENCE,)),
    Entry("LSTM(4, 3)", (SEQUENCE,)),
    Entry("GRU(4, 3)", (SEQUENCE,)),
    Entry("RNNCell(4, 3)", (x(2, 4),)),
    Entry("LSTMCell(4, 3)", (x(2, 4),)),
    Entry("GRUCell(4, 3)", (x(2, 4),)),
    Entry("MultiheadAttention(4, 2)", (SEQUENCE, SEQUENCE, SEQUENCE)),
    Entry("TransformerEncoderLayer(4, 2, 8, dropout=0.0)", (SEQUENCE,)),
    Entry("TransformerDecoderLayer(4, 2, 8, dropout=0.0)", (TARGETS, SEQUENCE)),
    Entry(
        "TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0), 2, "
        "enable_nested_tensor=False)",
        (SEQUENCE,),
    ),
    Entry("TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, 0.0), 2)", (TARGETS, SEQUENCE)),
    Entry("Transformer(4, 2, 1, 1, 8, 0.0, batch_first=True)", (p(2, 3, 4), x(2, 2, 4))),
    *(Entry(f"{name}()", (x(4, 3), p(4, 3))) for name in REGRESSION.split()),
    Entry("BCELoss()", (p(4, 3), p(4, 3))),
    Entry("BCEWithLogitsLoss()", (x(4, 3), p(4, 3))),
    Entry("MultiLabelSoftMarginLoss()", (x(4, 3), p(4, 3))),
    Entry("CrossEntropyLoss()", (x(4, 3), CLASSES)),
    Entry("NLLLoss()", (x(4, 3), CLASSES)),
    Entry("NLLLoss2d()", (x(2, 3, 1, 2), np.array([[[0, 2]], [[1, 1]]]))),
    Entry("MultiMarginLoss()", (x(4, 3), CLASSES)),
    Entry("MultiLabelMarginLoss()", (x(2, 3), np.array([[2, 0, -1], [1, -1, 0]]))),
    Entry("SoftMarginLoss()", (x(4), SIGNS)),
    Entry("HingeEmbeddingLoss()", (x(4), SIGNS)),
    Entry("CosineEmbeddingLoss()", (x(4, 3), p(4, 3), SIGNS)),
    Entry("MarginRankingLoss()", (x(4), p(4), SIGNS)),
    Entry("GaussianNLLLoss()", (x(4, 3), p(4, 3), p(4, 3))),
    Entry("TripletMarginLoss()", (x(4, 3), p(4, 3), 1 - x(4, 3))),
    Entry("TripletMarginWithDistanceLoss()", (x(4, 3), p(4, 3), 1 - x(4, 3))),
    Entry(
        "CTCLoss()", (x(5, 2, 4), np.array([[1, 2], [3, 1]]), np.array([5, 4]), np.array([2, 1]))
    ),
    Entry("LinearCrossEntropyLoss(4, 3)", (x(2, 4), np.array([0, 2]))),
    Entry("AdaptiveLogSoftmaxWithLoss(4, 6, [2])", (x(3, 4), np.array([0, 2, 5]))),
]
# What PyTorch has no bfloat16 kernel for on a CPU, and is computed here.
WITHOUT_BFLOAT16_IN_PYTORCH = {
    "AvgPool3d",
    "CTCLoss",
    "LPPool3d",
    "LocalResponseNorm",
    "MultiLabelMarginLoss",
    "MultiMarginLoss",
}
# What holds other modules, or has no forward of its own.
ABSTRACT = {
    "Container",
    "DataParallel",
    "Module",
    "ModuleDict",
    "ModuleList",
    "ParameterDict",
    "ParameterList",
    "RNNBase",
    "RNNCellBase",
    "Sequential",
    "SyncBatchNorm",
}
