"""What a supplier's row must satisfy, rule by rule."""
