"""Model folders: what is in one, how it is checked, and the sources they are found by."""
