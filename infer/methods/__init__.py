"""Distillation methods: one module declares each; ``sets`` and ``optimisation`` hold the implementations."""
