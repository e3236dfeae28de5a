"""Files that last, in folders that are ours."""
