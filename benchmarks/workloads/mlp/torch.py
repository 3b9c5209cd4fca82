"""The perceptron in PyTorch's words; `torch` is PyTorch or jtoolbox."""


def build(torch):
    nn = torch.nn
    return nn.Sequential(
        nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )


def loss(torch, model, image, label):
    return torch.nn.functional.cross_entropy(model(image), label)
