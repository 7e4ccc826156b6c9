"""The one training loop that teachers (squeeze) and students (evaluate) share, and what scores the result."""
