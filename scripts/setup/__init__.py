"""The steps of scripts/setup.py: one file a tool, each with one function that leaves at once when the tool is there."""
