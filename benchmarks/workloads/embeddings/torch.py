"""The two tables in PyTorch's words; `torch` is PyTorch or jtoolbox."""

from benchmarks.workloads.embeddings import VOCABULARY, WIDTH


def build(torch):
    nn = torch.nn

    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(VOCABULARY, WIDTH)
            self.contexts = nn.Embedding(VOCABULARY, WIDTH)

        def forward(self, word, context):
            return (self.words(word) * self.contexts(context)).sum(-1)

    return Pairs()


def loss(torch, model, word, context, label):
    return torch.nn.functional.binary_cross_entropy_with_logits(model(word, context), label)
