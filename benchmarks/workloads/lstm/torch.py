"""The language model in PyTorch's words; `torch` is PyTorch or jtoolbox."""

from benchmarks.workloads.lstm import EMBEDDING, HIDDEN, LAYERS, VOCABULARY


def build(torch):
    nn = torch.nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
            self.lstm = nn.LSTM(EMBEDDING, HIDDEN, LAYERS, batch_first=True)
            self.head = nn.Linear(HIDDEN, VOCABULARY)

        def forward(self, tokens):
            x, _ = self.lstm(self.embedding(tokens))
            return self.head(x)

    return Model()


def loss(torch, model, tokens, targets):
    logits = model(tokens)
    return torch.nn.functional.cross_entropy(logits.view(-1, VOCABULARY), targets.view(-1))
