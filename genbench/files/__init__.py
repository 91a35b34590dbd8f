"""Reading files that are not trusted: no code runs, and no memory is taken before the sizes are proved."""
