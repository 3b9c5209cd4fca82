"""The U-Net in PyTorch's words; `torch` is PyTorch or jtoolbox."""

from benchmarks.workloads.unet import CLASSES, CONVOLUTIONS, TRANSPOSED


def build(torch):
    nn, F = torch.nn, torch.nn.functional

    class Pair(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

        def forward(self, x):
            return F.relu(self.conv2(F.relu(self.conv1(x))))

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            for name, sizes in CONVOLUTIONS.items():
                self.add_module(name, Pair(*sizes))
            for name, sizes in TRANSPOSED.items():
                self.add_module(name, nn.ConvTranspose2d(*sizes, 2, stride=2))
            self.head = nn.Conv2d(16, CLASSES, 1)

        def forward(self, x):
            fine = self.down1(x)
            coarse = self.down2(F.max_pool2d(fine, 2))
            x = self.bottom(F.max_pool2d(coarse, 2))
            x = self.join2(torch.cat([coarse, self.up2(x)], dim=1))
            x = self.join1(torch.cat([fine, self.up1(x)], dim=1))
            return self.head(x)

    return UNet()


def loss(torch, model, image, label):
    return torch.nn.functional.cross_entropy(model(image), label)
