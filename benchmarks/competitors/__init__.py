"""Who is measured: each name with the module and class that train a workload its library's way."""

COMPETITORS = {
    "jtoolbox": ("jtoolbox", "Loop"),
    "jtoolbox_jit": ("jtoolbox", "Jit"),
    "jtoolbox_scan": ("jtoolbox", "Scan"),
    "remedied": ("remedied", "Remedied"),
    "jax": ("jax", "ByHand"),
    "torch": ("torch", "Eager"),
    "torch_compile": ("torch", "Compiled"),
    "nnx": ("nnx", "Plain"),
    "nnx_cached": ("nnx", "Cached"),
    "equinox": ("equinox", "Plain"),
    "equinox_donate": ("equinox", "Donate"),
    "torchax": ("torchax", "Jit"),
    "jtoolbox_inference": ("jtoolbox", "Forward"),
    "jtoolbox_jit_inference": ("jtoolbox", "JitForward"),
    "jax_inference": ("jax", "Forward"),
    "torch_inference": ("torch", "Forward"),
    "torch_compile_inference": ("torch", "CompiledForward"),
    "nnx_inference": ("nnx", "Forward"),
    "equinox_inference": ("equinox", "Forward"),
}
