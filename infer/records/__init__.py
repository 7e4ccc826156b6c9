"""Records of what was run, read without torch: runs, sweeps, artefacts, and what differs between them."""
