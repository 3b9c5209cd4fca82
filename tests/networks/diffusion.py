"""Denoising diffusion (Ho et al. 2020, https://arxiv.org/abs/2006.11239) with averaged weights."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class SinusoidalPosEmb(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        half_dim = self.dim // 2
        emb = math.log(10000) / (half_dim - 1)
        emb = torch.exp(torch.arange(half_dim, device=x.device) * -emb)
        emb = x[:, None] * emb[None, :]
        return torch.cat((emb.sin(), emb.cos()), dim=-1)


class Block(nn.Module):
    def __init__(self, dim, dim_out, time_dim):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, dim_out * 2))
        self.proj = nn.Conv2d(dim, dim_out, 3, padding=1)
        self.norm = nn.GroupNorm(2, dim_out)
        self.res_conv = nn.Conv2d(dim, dim_out, 1) if dim != dim_out else nn.Identity()

    def forward(self, x, t):
        scale, shift = self.mlp(t)[:, :, None, None].chunk(2, dim=1)
        h = self.norm(self.proj(x)) * (scale + 1) + shift
        return F.silu(h) + self.res_conv(x)


class Unet(nn.Module):
    def __init__(self, dim=4, time_dim=8):
        super().__init__()
        self.time_mlp = nn.Sequential(
            SinusoidalPosEmb(dim),
            nn.Linear(dim, time_dim),
            nn.GELU(),
            nn.Linear(time_dim, time_dim),
        )
        self.init_conv = nn.Conv2d(1, dim, 3, padding=1)
        self.down = Block(dim, dim, time_dim)
        self.downsample = nn.Conv2d(dim, dim * 2, 4, 2, 1)
        self.mid = Block(dim * 2, dim * 2, time_dim)
        self.upsample = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(dim * 2, dim, 3, padding=1)
        )
        self.up = Block(dim * 2, dim, time_dim)
        self.final_conv = nn.Conv2d(dim, 1, 1)

    def forward(self, x, time):
        x = self.init_conv(x)
        t = self.time_mlp(time)
        skip = self.down(x, t)
        x = self.upsample(self.mid(self.downsample(skip), t))
        return self.final_conv(self.up(torch.cat((x, skip), dim=1), t))


class Diffusion(nn.Module):
    def __init__(self, model, timesteps=50):
        super().__init__()
        self.model = model
        betas = torch.linspace(1e-4, 0.1, timesteps)
        alphas_cumprod = torch.cumprod(1.0 - betas, dim=0)
        self.register_buffer("sqrt_alphas_cumprod", torch.sqrt(alphas_cumprod))
        self.register_buffer("sqrt_one_minus_alphas_cumprod", torch.sqrt(1.0 - alphas_cumprod))

    def extract(self, a, t, shape):
        return a.gather(-1, t).reshape(t.shape[0], *((1,) * (len(shape) - 1)))

    def q_sample(self, x_start, t, noise):
        mean = self.extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
        return mean + self.extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise

    def forward(self, x, t, noise):
        return F.mse_loss(self.model(self.q_sample(x, t, noise), t), noise)


def build():
    return Diffusion(Unet())


def batches(rng, steps=30):
    return [
        (
            rng.uniform(-1, 1, (4, 1, 8, 8)).astype(np.float32),
            rng.integers(0, 50, 4),
            rng.standard_normal((4, 1, 8, 8)).astype(np.float32),
        )
        for _ in range(steps)
    ]


def train(model, batches):
    ema = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.99))
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=10)
    losses = []
    for batch in batches:
        loss = model(*(torch.from_numpy(v) for v in batch))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for slow, fast in zip(ema.parameters(), model.parameters()):
                slow.lerp_(fast, 0.1)
        losses.append(loss.item())
    with torch.no_grad():
        losses.append(ema(*(torch.from_numpy(v) for v in batches[-1])).item())
    return losses
