"""Search for results in another unit than declared, on arrays."""
