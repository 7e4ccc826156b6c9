"""The training loop that teachers (squeeze) and students (evaluate) share, and the scoring of networks."""
