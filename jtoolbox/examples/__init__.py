"""Training scripts, run by `python -m jtoolbox.examples.<name>`."""
