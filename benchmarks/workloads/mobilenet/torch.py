"""The depthwise-separable network in PyTorch's words; `torch` is PyTorch or jtoolbox."""

from benchmarks.workloads.mobilenet import BLOCKS, STEM


def build(torch):
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.depthwise = nn.Conv2d(
                inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False
            )
            self.bn1 = nn.BatchNorm2d(inputs)
            self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)

        def forward(self, x):
            x = F.relu(self.bn1(self.depthwise(x)))
            return F.relu(self.bn2(self.pointwise(x)))

    class MobileNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, STEM, 3, padding=1, bias=False)
            self.bn = nn.BatchNorm2d(STEM)
            self.blocks = nn.Sequential(*[Block(*sizes) for sizes in BLOCKS])
            self.fc = nn.Linear(BLOCKS[-1][1], 10)

        def forward(self, x):
            x = self.blocks(F.relu(self.bn(self.conv(x))))
            return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))

    return MobileNet()


def loss(torch, model, image, label):
    return torch.nn.functional.cross_entropy(model(image), label)
