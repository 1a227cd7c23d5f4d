"""The worker: takes jobs from the queue and diffs npm tarballs by its Node program."""
