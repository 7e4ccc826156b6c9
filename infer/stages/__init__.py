"""The five verbs of the pipeline, in order: squeeze, generate, relabel, evaluate, report."""
