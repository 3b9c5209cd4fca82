"""`torch.backends.quantized`: an attribute to set; there is no quantisation."""

__all__ = ["engine", "supported_engines"]

engine = "none"
supported_engines = ["none"]
