"""Our own format of distilled sets: images, labels and stored batches."""
