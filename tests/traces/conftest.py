"""Traces that strangers recorded, and what is found of them."""

import pytest
from recorder import Recorder

from evalkit.store import connect
from evalkit.traces.sample import survey


@pytest.fixture
def recorder(database_uri):
    return Recorder(database_uri)


@pytest.fixture
def surveyed(database_uri, recorder):
    return lambda **how: survey(connect(database_uri), recorder.experiment_id, **how)
