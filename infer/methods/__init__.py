"""The distillation methods: what they share, and one file each."""
