"""Training: the trainer of each network, its losses and figures, the data it learns from."""
