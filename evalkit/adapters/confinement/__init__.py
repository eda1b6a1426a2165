"""Running Python that a model wrote, so that it reaches nothing of the caller's.

:class:`Confinement` finds out what the machine offers and says so in :attr:`Confinement.name`;
:class:`Policy` says what a program may use. Landlock closes files, seccomp sockets, namespaces
(where the machine lets us have them) everything else that is shared; see `levels`.
"""

from __future__ import annotations

from evalkit.adapters.confinement.confinement import Confinement
from evalkit.adapters.confinement.levels import Level
from evalkit.adapters.confinement.policy import Outcome, Policy

__all__ = ["Confinement", "Level", "Outcome", "Policy"]
