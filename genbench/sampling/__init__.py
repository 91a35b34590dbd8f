"""From samplers and files to checked samples: drawing in seeded blocks, reading files that are not trusted."""
