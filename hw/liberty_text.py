"""Reads the text of a Liberty file into a tree of groups; knows the syntax, not the meaning.

    library (name) {            a group: keyword, arguments, body
      area : 3.75;              a simple attribute
      values ("1, 2", "3, 4");  a complex attribute
    }

Source: Liberty User Guide, volume 1, chapter 1. Macros and `include_file` are not supported.
"""

import gzip
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path

_COMMENT = re.compile(r'"[^"]*"|/\*.*?\*/', re.DOTALL)
_STATEMENT = re.compile(
    r"""[\s;\\]*(?:
        (?P<close>\})
      | (?P<name>[\w.]+)\s*(?:
            :\s*(?P<value>"[^"]*"|[^;}\n]+)
          | \((?P<args>(?:[^()"]|"[^"]*")*)\)\s*(?P<open>\{)?
        )
    )""",
    re.VERBOSE,
)
_ARGUMENT = re.compile(r'"([^"]*)"|([^\s,"\\]+)')


@dataclass
class Group:
    """One group. attributes: simple ones, text without quotes, of several the last; lists: complex
    ones, the arguments of each. groups: in file order. line: where it begins, from 1."""

    keyword: str
    names: list[str]
    line: int
    attributes: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[list[str]]] = field(default_factory=dict)
    groups: list["Group"] = field(default_factory=list)

    def all(self, keyword: str) -> list["Group"]:
        """Returns the groups directly inside that have this keyword."""
        return [group for group in self.groups if group.keyword == keyword]


def read_text(path: str | Path) -> str:
    """Returns the text of a plain or gzip-compressed file (told by its first bytes).

    Raises ValueError if the file is missing, is a folder, or is damaged.
    """
    try:
        raw = Path(path).read_bytes()
        if raw[:2] == b"\x1f\x8b":
            raw = gzip.decompress(raw)
        return raw.decode(errors="replace")
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ValueError(
            f"{path}: a Liberty file must be readable text, plain or gzip, but: {reason}; "
            "give the path of an undamaged .lib or .lib.gz file"
        ) from None


def parse_groups(text: str, source: str = "text") -> Group:
    """Returns the outermost group of a Liberty file.

    Raises ValueError, naming source and line, where the text is not Liberty.
    """
    text = _COMMENT.sub(_blank_comment, text)
    open_groups = [Group("", [], 0)]
    position, line = 0, 1
    while match := _STATEMENT.match(text, position):
        line += text.count("\n", position, match.end())
        position = match.end()
        if not _add_statement(open_groups, match, line):
            raise _error(source, line, "a brace closes no group")
    if text[position:].strip(" \t\r\n;\\"):
        rest = text[position:].lstrip(" \t\r\n;\\")
        line = text.count("\n", 0, len(text) - len(rest)) + 1
        shown = rest.split("\n", 1)[0][:40]
        raise _error(source, line, f"expected a statement or a closing brace, got {shown!r}")
    if len(open_groups) > 1:
        where = open_groups[-1]
        raise _error(source, where.line, f"group {where.keyword} is never closed")
    libraries = open_groups[0].all("library")
    if len(libraries) != 1:
        raise _error(source, 1, f"expected one library group, got {len(libraries)}")
    return libraries[0]


def _add_statement(open_groups: list[Group], match: re.Match, line: int) -> bool:
    """Adds one statement to the innermost group; returns False for a brace too many."""
    if match["close"]:
        open_groups.pop()
        return bool(open_groups)
    group, name = open_groups[-1], match["name"]
    if match["value"] is not None:
        group.attributes[name] = match["value"].strip().strip('"').strip()
        return True
    arguments = [quoted or bare for quoted, bare in _ARGUMENT.findall(match["args"])]
    if match["open"]:
        inner = Group(name, arguments, line)
        group.groups.append(inner)
        open_groups.append(inner)
    else:
        group.lists.setdefault(name, []).append(arguments)
    return True


def _blank_comment(match: re.Match) -> str:
    text = match[0]
    return text if text[0] == '"' else " " + "\n" * text.count("\n")


def _error(source: str, line: int, problem: str) -> ValueError:
    return ValueError(f"{source}, line {line}: {problem}; give an undamaged Liberty file")
