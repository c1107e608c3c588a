"""Readers of suppliers' files, a module or package for each format: file in, rows of text out.

Each row has its file and line. Values stay as written; only a file that cannot be read as a whole is refused.
"""
