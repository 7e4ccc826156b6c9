"""What the ``infer`` command looks at and prints: runs, what differs between them, and the store's health."""
