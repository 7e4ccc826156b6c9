"""Records of runs, sweeps and artefacts, and the differences between them. This package does not import torch."""
