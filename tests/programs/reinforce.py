"""REINFORCE on a corridor: walk to the right end in few steps."""

from collections import deque
from itertools import count

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

gamma = 0.95
torch.manual_seed(0)


class Corridor:
    length = 5

    def reset(self):
        self.place, self.steps = 0, 0
        return self.state()

    def state(self):
        return np.eye(self.length, dtype=np.float32)[self.place]

    def step(self, action):
        self.place = max(0, self.place + (1 if action == 1 else -1))
        self.steps += 1
        done = self.place == self.length - 1 or self.steps == 20
        reward = 1.0 if self.place == self.length - 1 else -0.1
        return self.state() if self.place < self.length else None, reward, done


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(5, 16)
        self.affine2 = nn.Linear(16, 2)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        return F.softmax(self.affine2(F.relu(self.affine1(x))), dim=1)


policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=2e-2)
eps = np.finfo(np.float32).eps.item()


def select_action(state):
    probs = policy(torch.from_numpy(state).float().unsqueeze(0))
    action = torch.multinomial(probs.detach(), 1)
    policy.saved_log_probs.append(probs.gather(1, action).log().squeeze(1))
    return action.item()


def finish_episode():
    R = 0
    returns = deque()
    for r in policy.rewards[::-1]:
        R = r + gamma * R
        returns.appendleft(R)
    returns = torch.tensor(returns)
    returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_loss = [-log_prob * R for log_prob, R in zip(policy.saved_log_probs, returns)]
    optimizer.zero_grad()
    policy_loss = torch.cat(policy_loss).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]


def main():
    env = Corridor()
    running = 0.0
    for i_episode in range(60):
        state, ep_reward = env.reset(), 0
        for t in count(1):
            state, reward, done = env.step(select_action(state))
            policy.rewards.append(reward)
            ep_reward += reward
            if done:
                break
        running = 0.9 * running + 0.1 * ep_reward if i_episode else ep_reward
        finish_episode()
    print(f"Average reward: {running:.2f}")


if __name__ == "__main__":
    main()
