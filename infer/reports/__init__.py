"""``report.html`` of runs and sweeps: a single, self-contained file made from records."""
