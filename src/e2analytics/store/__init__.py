"""The tables on disk: the only package that touches them."""
