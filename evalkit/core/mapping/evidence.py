"""What speaks for a place being an input or an expectation: prose, names, arguments, judges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from evalkit.core.dataset import WHOLE_FILE, Selector
from evalkit.core.mapping.clauses import Statement, sentences
from evalkit.core.mapping.cues import Lean, description_lean, name_lean, speaks_of_gold
from evalkit.core.mapping.prose import read_prose
from evalkit.core.mapping.selecting import is_pattern, matching
from evalkit.core.mapping.survey import Shape, Survey
from evalkit.core.mapping.wording import Vocabulary, plain, word_set

_PLACEHOLDER = re.compile(r"\{+\s*(?:inputs?\.)?([A-Za-z_][\w.\-]*)\s*\}+|\$\{?([A-Za-z_]\w*)\}?")
_JUDGED = re.compile(
    r"\b(annotations?|expectations?|expected|references?)"
    r"(?:\.get\(\s*|\[\s*|\.)[\"']?([A-Za-z_]\w*)"
)
_REST = re.compile(
    r"\b(?:everything else|all (?:the )?(?:other|others|else|rest)|the (?:rest|others|other fields)"
    r"|alles (?:andere|übrige)|der rest|die (?:übrigen|anderen))\b",
    re.IGNORECASE,
)
_METHODS = word_set("get items keys values")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the cases that could feed a record.

    Attributes:
        selector: Where it is.
        keys: The keys that lead to it; empty for a whole file.
        shape: What the cases hold there; None for text files.
        hits: In how many cases it is found.
    """

    selector: Selector
    keys: tuple[str, ...]
    shape: Shape | None
    hits: int

    @property
    def name(self) -> str:
        """What it is called: its key, the file's name without the ending, or the folder's."""
        if self.keys:
            return self.keys[-1]
        file = self.selector.file
        return PurePosixPath(file).parent.name if is_pattern(file) else file_name(file)


@dataclass(frozen=True, slots=True)
class Said:
    """What the prose leans to, and its words.

    Attributes:
        lean: To which side.
        quote: The words of the schema.
    """

    lean: Lean
    quote: str


@dataclass(frozen=True, slots=True)
class Role:
    """What a file is for.

    Attributes:
        lean: To which side; None where nothing says.
        reason: Why, as a clause about the file.
    """

    lean: Lean | None
    reason: str


@dataclass(frozen=True)
class Evidence:
    """Everything that is known about the cases before anything is decided.

    Attributes:
        schema: The text of ``dataset.schema``.
        found: What the cases hold.
        arguments: The template of the skill's arguments, such as ``{question} --lang {lang}``.
        judges: Code and prompts of the judges.
    """

    schema: str
    found: Survey
    arguments: str = ""
    judges: str = ""
    _roles: dict[str, Role] = field(default_factory=dict, repr=False, compare=False)
    _about: dict[str, list[Statement]] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The names that the cases know."""
        return Vocabulary(frozenset(self.found.files), self.found.field_names)

    @cached_property
    def prose(self) -> tuple[Statement, ...]:
        """What the schema says."""
        return read_prose(self.schema, self.vocabulary)

    @cached_property
    def rest(self) -> Said | None:
        """What the schema leans to in what it says of everything else."""
        about = (sentence for sentence in sentences(plain(self.schema)) if _REST.search(sentence))
        return next((Said(lean, s) for s in about if (lean := description_lean(s))), None)

    @cached_property
    def argued(self) -> frozenset[str]:
        """Names that the skill's arguments take."""
        return frozenset(a or b for a, b in _PLACEHOLDER.findall(self.arguments))

    @cached_property
    def judged(self) -> Mapping[str, str]:
        """Names that judges read, to what they read them from, such as ``annotations``."""
        return {n: where for where, n in _JUDGED.findall(self.judges) if n not in _METHODS}

    # -- files

    def role(self, file: str) -> Role:
        """What the file is for, by the prose first and its name second."""
        if file not in self._roles:
            self._roles[file] = self._role(file)
        return self._roles[file]

    def _role(self, file: str) -> Role:
        named = _file_name_lean(file)
        by_name = Role(named, f"whose name says “{named.cue}”" if named else "")
        about = self.about_file(file)
        said = next(iter([*_said(about), *_shared(about)]), None)
        if said is None or _is_overruled(said.lean, named):
            return by_name
        if said.lean.side == "input" and said.lean.kind == "word" and speaks_of_gold(said.quote):
            return Role(None, "")  # it holds both
        return Role(said.lean, f"which the schema describes as “{short(said.quote)}”")

    def about_file(self, file: str) -> list[Statement]:
        """What the prose says of the file, exact names before folders and patterns."""
        if file not in self._about:
            about = [s for s in self.prose if s.is_file and self.covers(s.subject, file)]
            self._about[file] = sorted(about, key=lambda s: s.subject != file)
        return self._about[file]

    def covers(self, subject: str, file: str) -> bool:
        """Whether the prose means the file when it says the subject."""
        subject = subject.removeprefix("./")
        if subject == file or subject.endswith(f"/{file}"):
            return True
        if subject.endswith("/"):
            return file.startswith(subject) or f"/{subject}" in f"/{file}"
        if is_pattern(subject):
            return bool(matching(subject, [file, PurePosixPath(file).name]))
        if file.endswith(f"/{subject}"):
            return True
        return subject not in self.found.files and file_name(subject) == file_name(file)

    # -- fields

    def about(self, place: Place) -> list[Statement]:
        """What the prose says of the place."""
        file = place.selector.file
        if not place.keys:
            return self.about_file(file)
        return [
            s
            for s in self.prose
            if not s.is_file
            and _ends_with(place.keys, s.subject)
            and (not s.file or self.covers(s.file, file) or not self._holds(s.file, s.subject))
        ]

    def _holds(self, file: str, path: str) -> bool:
        """Whether any file that the prose means has the field in any case."""
        return any(
            path.partition(".")[0] in shape.keys
            for name, shape in self.found.documents.items()
            if self.covers(file, name)
        )

    def said(self, place: Place) -> Said | None:
        """What the prose leans to in what it says of this place alone.

        The first word on it counts, unless a later one says that the skill is kept from it.
        """
        leans = list(_said(self.about(place)))
        return next((s for s in leans if s.lean.kind == "withheld"), leans[0] if leans else None)

    def words_on(self, place: Place) -> str:
        """The prose's own words on the place, whatever they lean to; empty where there are none."""
        return next((s.says for s in self.about(place) if s.says), "")

    def shared(self, place: Place) -> Said | None:
        """What the prose leans to in what it says of this place and others together."""
        if not place.keys:
            return None
        return next(_shared(self.about(place)), None)

    def is_argued(self, place: Place) -> bool:
        """Whether the skill's arguments take it.

        Where several files have the name, those that are not about expectations are meant.
        """
        path = ".".join(place.keys)
        if not path or not {path, place.name} & self.argued:
            return False
        role = self.role(place.selector.file).lean
        if role is None or role.side != "expectation":
            return True
        return not any(
            place.name in shape.keys
            for file, shape in self.found.documents.items()
            if file != place.selector.file
        )

    def unknown_names(self) -> Iterator[tuple[str, str]]:
        """(name, who names it) of what the schema or the arguments name and no case holds."""
        known = {name.lower() for name in self.found.field_names}
        told = set()
        for statement in self.prose:
            name, told_of = statement.subject, statement.subject.rpartition(".")[2].lower()
            exists = (
                any(self.covers(name, file) for file in self.found.files)
                if statement.is_file
                else told_of in known
            )
            if not exists and statement.certain and name not in told:
                told.add(name)
                yield name, "the schema"
        for name in sorted(self.argued - told):
            if name.rpartition(".")[2].lower() not in known:
                yield name, "the skill's arguments"


def _is_overruled(said: Lean, named: Lean | None) -> bool:
    """Whether a file's name outweighs its description.

    "Test metadata" says less than a name like ``annotations``; and a name that speaks of what is
    expected keeps a file from becoming an input, on the word of the prose or against it.
    """
    if named is None:
        return False
    if said.side == "metadata":
        return named.side != "metadata"
    is_vague = said.kind == "word"
    return said.side == "input" and (named.kind == "gold" or (named.kind == "judged" and is_vague))


def _said(statements: Sequence[Statement]) -> Iterator[Said]:
    for statement in statements:
        if lean := description_lean(statement.says):
            yield Said(lean, statement.says)


def _shared(statements: Sequence[Statement]) -> Iterator[Said]:
    for statement in statements:
        if lean := description_lean(statement.context):
            yield Said(lean, statement.context)


def _ends_with(keys: tuple[str, ...], path: str) -> bool:
    return f".{'.'.join(keys)}".endswith(f".{path}")


def file_name(file: str) -> str:
    """The file's name without its folders and ending."""
    return PurePosixPath(file).stem


def _file_name_lean(file: str) -> Lean | None:
    """What the file's name leans to, else the nearest folder's."""
    path = PurePosixPath(file)
    parts = [file_name(file), *reversed(path.parts[:-1])]
    return next((lean for part in parts if (lean := name_lean(part))), None)


def short(quote: str, limit: int = 90) -> str:
    """A quote of at most so many characters, cut between words."""
    quote = re.sub(r"\s+", " ", quote).strip(" ,;.:")
    return quote if len(quote) <= limit else quote[: limit - 1].rsplit(" ", 1)[0] + " …"


def whole(file: str, hits: int, shape: Shape | None = None) -> Place:
    """The place of a whole file, or of all files that a pattern stands for."""
    return Place(Selector(file, WHOLE_FILE), (), shape, hits)
