"""A word-level LSTM language model, its state carried from batch to batch, plain SGD."""

import torch
import torch.nn as nn


class RNNModel(nn.Module):
    def __init__(self, ntoken=13, ninp=8, nhid=8, nlayers=2):
        super().__init__()
        self.ntoken, self.nhid, self.nlayers = ntoken, nhid, nlayers
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers, dropout=0.0)
        self.decoder = nn.Linear(nhid, ntoken)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.encoder(input), hidden)
        return self.decoder(output).view(-1, self.ntoken), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return (
            weight.new_zeros(self.nlayers, bsz, self.nhid),
            weight.new_zeros(self.nlayers, bsz, self.nhid),
        )


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def build():
    return RNNModel()


def batches(rng, steps=30):
    words = rng.integers(0, 13, (5 * steps + 1, 4))
    return [(words[i : i + 5], words[i + 1 : i + 6]) for i in range(0, 5 * steps, 5)]


def train(model, batches):
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)
    hidden = model.init_hidden(4)
    losses = []
    for data, targets in batches:
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(torch.tensor(data), hidden)
        loss = criterion(output, torch.tensor(targets).view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses
