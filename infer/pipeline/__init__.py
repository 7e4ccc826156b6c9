"""One run: planned, checked, made stage by stage, recorded."""
