"""``report.html`` of runs and sweeps, one self-contained file made from records alone."""
