"""One verb a module, frame in and frame out. Stages never import each other; ``pipeline`` orders them."""
