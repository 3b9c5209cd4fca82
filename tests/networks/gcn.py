"""A graph convolutional network (Kipf & Welling 2017, https://arxiv.org/abs/1609.02907)."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parameter import Parameter


class GraphConvolution(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(torch.empty(in_features, out_features))
        self.bias = Parameter(torch.empty(out_features))
        self.reset_parameters()

    def reset_parameters(self):
        stdv = 1.0 / math.sqrt(self.weight.size(1))
        self.weight.data.uniform_(-stdv, stdv)
        self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        support = torch.mm(input, self.weight)
        return torch.sparse.mm(adj, support) + self.bias

    def __repr__(self):
        return f"{self.__class__.__name__} ({self.in_features} -> {self.out_features})"


class GCN(nn.Module):
    def __init__(self, nfeat=6, nhid=8, nclass=3):
        super().__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, 0.0, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


def normalize(adj):
    adj = adj + np.eye(len(adj), dtype=np.float32)
    return adj / adj.sum(1, keepdims=True)


def build():
    return GCN()


def batches(rng, steps=30):
    upper = np.triu(rng.random((14, 14)) < 0.25, 1).astype(np.float32)
    adj = normalize(upper + upper.T)
    features = rng.standard_normal((14, 6)).astype(np.float32)
    labels = rng.integers(0, 3, 14)
    return [(features, adj, labels)] * steps


def train(model, batches):
    features, adj, labels = batches[0]
    rows, cols = adj.nonzero()
    indices = torch.from_numpy(np.stack([rows, cols]))
    adj = torch.sparse_coo_tensor(indices, torch.from_numpy(adj[rows, cols]), adj.shape)
    features, labels = torch.from_numpy(features), torch.from_numpy(labels)
    idx_train = torch.arange(10)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    losses = []
    for _ in batches:
        model.train()
        optimizer.zero_grad()
        output = model(features, adj)
        loss = F.nll_loss(output[idx_train], labels[idx_train])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
