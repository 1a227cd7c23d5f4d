"""Invoke tasks, linters, lock files, test runner and benchmarks of this repository."""
