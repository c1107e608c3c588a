"""Drafts a feed description for a file that no feed describes: a guess for an analyst to check."""

from e2analytics.feeds.drafting.copies import copy_of_tables
from e2analytics.feeds.drafting.draft import draft, feed_name

__all__ = ["copy_of_tables", "draft", "feed_name"]
