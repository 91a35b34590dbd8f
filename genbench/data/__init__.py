"""Real data and known truths, in two disjoint splits: one file per family, one function per dataset."""
