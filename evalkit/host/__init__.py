"""What a notebook stands on: its host, and how its page looks.

The only package that imports marimo; everything below it works without.
"""

from evalkit.host import page
from evalkit.host.host import Host

__all__ = ["Host", "page"]
