"""Trained networks as artefacts: the base class of teachers and students, and the teacher."""
