"""Complete networks as they are published, each in a file written for PyTorch alone.

Each file has `build()`, the model; `batches(rng)`, what thirty steps are fed, as arrays; and
`train(model, batches)`, the loop, which returns the losses.
"""
