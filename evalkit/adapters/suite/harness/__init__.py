"""The program that runs a suite's code, copied into the room where it runs.

It stands on the standard library and MLflow alone, so that nothing of evalkit has to be in reach of
code that a model wrote. What it is to do comes in a file that it deletes before any such code runs;
what came of it goes into a file whose name only that file told. That keeps honest code from getting
in the way; code that means to forge an answer can, and so whoever reads the answer believes
none of it: it is checked against the traces, and against what the script left in MLflow.
"""

from __future__ import annotations
