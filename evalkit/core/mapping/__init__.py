"""From a schema's prose and the cases to a schema mapping, and from a mapping to records.

``schema_mapping`` applies and checks a mapping, by way of ``selecting``. ``proposal`` makes one:
``survey`` looks at the cases, ``prose`` (``clauses``, ``phrases``, ``wording``, ``cues``) reads the
schema, ``evidence`` brings both together, ``rules``, ``deciding`` and ``settling`` judge it.
``asking`` puts the same question to a model and checks its answer.
"""
