"""The five stages of the pipeline, in order: squeeze, generate, relabel, evaluate, report."""
