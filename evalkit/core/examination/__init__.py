"""What can be counted in an experiment's traces, so that nobody has to count it by hand."""

from evalkit.core.brevity import as_text
from evalkit.core.examination.examining import Examination, examine
from evalkit.core.examination.profiling import place_of, profile
from evalkit.core.examination.reporting import as_report

__all__ = ["Examination", "as_report", "as_text", "examine", "place_of", "profile"]
