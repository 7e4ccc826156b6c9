"""One run: plan, checks, stages and record."""
