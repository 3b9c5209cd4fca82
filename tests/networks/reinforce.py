"""REINFORCE (Williams 1992): a policy gradient over episodes whose actions are given."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(4, 16)
        self.dropout = nn.Dropout(p=0.0)
        self.affine2 = nn.Linear(16, 2)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.dropout(self.affine1(x)))
        return F.softmax(self.affine2(x), dim=1)


def finish_episode(policy, optimizer, entropies, eps=1e-6, gamma=0.95):
    R = 0
    returns = []
    for r in policy.rewards[::-1]:
        R = r + gamma * R
        returns.insert(0, R)
    returns = torch.tensor(returns, dtype=torch.float32)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_loss = []
    for log_prob, R in zip(policy.saved_log_probs, returns):
        policy_loss.append(-log_prob * R)
    optimizer.zero_grad()
    policy_loss = torch.cat(policy_loss).sum() - 0.01 * torch.stack(entropies).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]
    return policy_loss.item()


def build():
    return Policy()


def batches(rng, steps=30):
    return [
        (
            rng.standard_normal((6, 4)).astype(np.float32),
            rng.integers(0, 2, 6),
            rng.standard_normal(6).tolist(),
        )
        for _ in range(steps)
    ]


def train(policy, batches):
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
    losses = []
    for states, actions, rewards in batches:
        entropies = []
        for state, action, reward in zip(states, actions, rewards):
            m = Categorical(policy(torch.from_numpy(state).float().unsqueeze(0)))
            policy.saved_log_probs.append(m.log_prob(torch.tensor([int(action)])))
            policy.rewards.append(reward)
            entropies.append(m.entropy().mean())
        losses.append(finish_episode(policy, optimizer, entropies))
    return losses
