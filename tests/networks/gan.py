"""A generative adversarial network (Goodfellow et al. 2014) in the DCGAN's style."""

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim

nz = 6


class GAN(nn.Module):
    def __init__(self, ngf=4, ndf=4):
        super().__init__()
        self.generator = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, ndf, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(ndf, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Conv") != -1:
        nn.init.normal_(m.weight.data, 0.0, 0.1)
    elif classname.find("BatchNorm") != -1:
        nn.init.normal_(m.weight.data, 1.0, 0.02)
        nn.init.constant_(m.bias.data, 0)


def build():
    model = GAN()
    model.apply(weights_init)
    return model


def batches(rng, steps=30):
    return [
        (
            rng.uniform(-1, 1, (8, 1, 8, 8)).astype(np.float32),
            rng.standard_normal((8, nz, 1, 1)).astype(np.float32),
        )
        for _ in range(steps)
    ]


def train(model, batches):
    netG, netD = model.generator, model.discriminator
    criterion = nn.BCELoss()
    optimizerD = optim.Adam(netD.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=2e-3, betas=(0.5, 0.999))
    losses = []
    for data, noise in batches:
        netD.zero_grad()
        real, noise = torch.from_numpy(data), torch.from_numpy(noise)
        label = torch.full((real.size(0),), 1.0, dtype=real.dtype)
        errD_real = criterion(netD(real).view(-1), label)
        errD_real.backward()
        fake = netG(noise)
        label.fill_(0.0)
        errD_fake = criterion(netD(fake.detach()).view(-1), label)
        errD_fake.backward()
        errD = errD_real + errD_fake
        optimizerD.step()

        netG.zero_grad()
        label.fill_(1.0)
        errG = criterion(netD(fake).view(-1), label)
        errG.backward()
        optimizerG.step()
        losses += [errD.item(), errG.item()]
    return losses
