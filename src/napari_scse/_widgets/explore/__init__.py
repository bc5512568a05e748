"""Explore: the attention of every epoch."""
