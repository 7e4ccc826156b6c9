"""This package's format of distilled sets: images, labels and stored batches."""
