"""What every table of the store promises, and the frames that pass between stages."""
