"""A variational autoencoder (Kingma & Welling 2013, https://arxiv.org/abs/1312.6114)."""

import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 24)
        self.fc21 = nn.Linear(24, 4)
        self.fc22 = nn.Linear(24, 4)
        self.fc3 = nn.Linear(4, 24)
        self.fc4 = nn.Linear(24, 64)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar, eps):
        std = torch.exp(0.5 * logvar)
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x, eps):
        mu, logvar = self.encode(x.view(-1, 64))
        z = self.reparameterize(mu, logvar, eps)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


def build():
    return VAE()


def batches(rng, steps=30):
    return [
        (
            rng.random((8, 1, 8, 8)).astype(np.float32),
            rng.standard_normal((8, 4)).astype(np.float32),
        )
        for _ in range(steps)
    ]


def train(model, batches):
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    model.train()
    for data, noise in batches:
        data, noise = torch.from_numpy(data), torch.from_numpy(noise)
        optimizer.zero_grad()
        recon, mu, logvar = model(data, noise)
        loss = loss_function(recon, data, mu, logvar)
        loss.backward()
        optimizer.step()
        losses.append(loss.item() / len(data))
    return losses
