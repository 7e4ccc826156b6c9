"""Optimisation of images through a frozen teacher: augmentation, batch-norm matching, the loss and its loop."""
