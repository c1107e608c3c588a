"""Mathematics on arrays: no frames, no files, no clinic. Every function states shapes and units."""
