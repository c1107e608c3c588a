"""Results in another unit than declared: found, converted, released."""
