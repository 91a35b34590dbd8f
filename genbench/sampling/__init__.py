"""From samplers and files to checked samples: drawing in seeded blocks, and samplers of whatever form a model has."""
