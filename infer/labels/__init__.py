"""What a student is taught: hard, static or dynamic labels."""
