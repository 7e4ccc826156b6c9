"""Trained networks as artefacts: what teachers and students have in common, and the teacher."""
