"""Segment: label a scan, correct the labels, teach the run."""
