"""Analyses of distilled sets: numbers about their images, kept in the store. ``infer.plots.analyses`` draws them."""
