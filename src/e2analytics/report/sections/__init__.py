"""The sections of the report: frames in, numbers and sentences out."""
