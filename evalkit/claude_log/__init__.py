"""One log of Claude Code, as bytes, becomes one trace; no store, no files and no clock are known.

Bytes become events (``reader``), events sessions (``builder``), and sessions, with their times
laid out (``timing``) and their figures settled (``accounting``), spans (``spans``).
"""
