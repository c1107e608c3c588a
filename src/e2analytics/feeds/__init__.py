"""Suppliers' files, one format a module: file in, rows of text out, with file and line.

Nothing is judged here but whether a file can be read as a whole; values stay as they were written.
"""
