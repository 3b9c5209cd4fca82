"""One of several processes that train together; prints what `test_distributed` compares."""

from __future__ import annotations

import json
import os

import numpy as np

import jtoolbox as torch
from jtoolbox import distributed as dist
from jtoolbox import nn
from jtoolbox.nn.parallel import DistributedDataParallel
from jtoolbox.utils.data import DataLoader, DistributedSampler, TensorDataset

X = np.random.default_rng(0).standard_normal((16, 4)).astype(np.float32)


def main() -> None:
    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(rank)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)))
    start = [p.detach().tolist() for p in model.parameters()]
    x = torch.from_numpy(X)
    data = TensorDataset(x, x.sum(1, keepdim=True))
    loader = DataLoader(data, 8 // size, sampler=DistributedSampler(data, shuffle=False))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(3):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(inputs), labels)
            loss.backward()
            optimizer.step()
            total = loss.detach().clone()
            dist.all_reduce(total, dist.ReduceOp.AVG)
            losses.append(total.item())
    mine = torch.tensor([float(rank), 2.0])
    parts = [torch.zeros(2) for _ in range(size)]
    dist.all_gather(parts, mine)
    dist.broadcast(mine, src=size - 1)
    objects: list[object] = [None] * size
    dist.all_gather_object(objects, {"rank": rank})
    dist.barrier()
    report = {
        "start": start,
        "losses": losses,
        "weights": [p.detach().tolist() for p in model.parameters()],
        "parts": [p.tolist() for p in parts],
        "broadcast": mine.tolist(),
        "objects": objects,
    }
    print("REPORT", json.dumps(report), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    assert "RANK" in os.environ
    main()
