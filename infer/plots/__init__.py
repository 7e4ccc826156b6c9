"""Pictures, drawn from the records that runs write. This package does not import torch."""
