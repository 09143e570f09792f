"""Runs the story: parameters, execution of the chapters, what depends on what, and the HTML."""
