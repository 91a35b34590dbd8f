"""The audit: every metric held against known answers and controlled corruptions, on the user's own machine."""
