"""The port's part for secrets: they are masked in all that is written, and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from evalkit.core.masking import MASKED, mask_counted, mask_text
from evalkit.core.spans import Trace
from evalkit.jsonable import Json


class Masking:
    """Masks what is on its way to MLflow.

    Logs are masked as they are read, and assessments and dataset rows where they are compared with
    what stands.

    Attributes:
        masked: Place to secrets that were masked in what was to go there.
    """

    masked: Counter[str]

    def _mask(self, value: Json, place: str) -> Json:
        return mask_counted(value, self.masked, place)

    def _masked_file(self, content: bytes) -> bytes:
        try:
            text = mask_text(content.decode())[0]
        except UnicodeDecodeError:  # a picture, an archive
            return content
        if marks := text.count(MASKED):  # most were masked as they were read
            self.masked["artifacts"] += marks
        return text.encode()

    def _masked_trace(self, trace: Trace) -> Trace:
        """The trace without secrets around its steps; those come from a log, which is masked."""
        root, *steps = trace.spans
        name, inputs, outputs, message = self._mask(
            [root.name, root.inputs, root.outputs, root.message], "traces"
        )
        root = replace(root, name=name, inputs=inputs, outputs=outputs, message=message)
        return replace(
            trace,
            name=self._mask(trace.name, "traces"),
            request=self._mask(trace.request, "traces"),
            response=self._mask(trace.response, "traces"),
            spans=(root, *steps),
            tags=self._mask(dict(trace.tags), "traces"),
            metadata=self._mask(dict(trace.metadata), "traces"),
        )
