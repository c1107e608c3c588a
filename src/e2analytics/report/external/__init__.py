"""The version that leaves the clinic: no man, no count of 1 to 10."""
