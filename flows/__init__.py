"""When and how often the pipeline runs; never what it does."""
