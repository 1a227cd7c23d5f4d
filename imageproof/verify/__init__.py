"""A verification: its options, the collection of facts, and the verdict."""
