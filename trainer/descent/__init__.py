"""What moves the weights: losses, optimizers, the learning rate."""
