"""A multilayer perceptron with batch normalization: SGD with momentum and a step schedule."""

import numpy as np
import torch
from torch import nn


def build():
    return nn.Sequential(
        nn.Linear(12, 24),
        nn.BatchNorm1d(24),
        nn.ReLU(inplace=True),
        nn.Dropout(0.0),
        nn.Linear(24, 16),
        nn.Tanh(),
        nn.Linear(16, 5),
    )


def batches(rng, steps=30):
    return [
        (rng.standard_normal((16, 12)).astype(np.float32), rng.integers(0, 5, 16))
        for _ in range(steps)
    ]


def train(model, batches):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.5)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    losses = []
    model.train()
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(torch.from_numpy(x)), torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses
