"""Distillation methods: each is declared in one module; ``sets`` and ``optimisation`` hold the implementations."""
