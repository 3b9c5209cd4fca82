"""`torch.utils.model_zoo`: the older names of `torch.hub`, which say that nothing is downloaded."""

from jtoolbox.hub import load_state_dict_from_url as load_url
from jtoolbox.hub import tqdm

__all__ = ["load_url", "tqdm"]
