"""Flags said once: a field of a settings dataclass is its parser, type, default, help and effect.

    FILM = Group("video")

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        duration: float | None = FILM.flag("length of the film", metavar="S", effect=LOOK)
        matte: bool = FILM.flag("also write the matte", default=False, effect=RESULT)

`add_flags` puts them into a parser, `convert` takes a value from anywhere else (Python, a film's
metadata) through the same checks. Nothing heavy is imported here, so that --help answers at once.
"""

import argparse
import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What a flag changes: how the film looks (taken over by --like), or what else comes out. Flags
# without an effect only say where and how to run.
LOOK, RESULT = "look", "result"


@dataclasses.dataclass(frozen=True)
class Group:
    """A group of flags in --help."""

    title: str
    text: str | None = None

    def flag(
        self,
        help: str,
        name: str | None = None,
        *,
        default: Any = None,
        required: bool = False,
        effect: str | None = None,
        aliases: tuple[str, ...] = (),
        **options: Any,
    ) -> Any:
        """Declare one flag as a field of a dataclass.

        Args:
            help: for --help; %(default)s stands for the default.
            name: such as "--2d"; by default the field's name with hyphens. A switch that is on by
                default is called --no-NAME.
            default: its value where the flag is not given.
            required: there is no default.
            effect: LOOK, RESULT or None.
            aliases: other spellings that are taken, unlisted.
            options: more for argparse: metavar, choices (or a function that returns them), nargs,
                const, type (text -> value). And `joined`: several choices may be given in one word,
                joined by commas; the value is that word.
        """
        said = {
            "group": self,
            "name": name,
            "help": help,
            "effect": effect,
            "aliases": aliases,
            "required": required,
            "options": options,
        }
        if required:
            return dataclasses.field(metadata=said)
        return dataclasses.field(default=default, metadata=said)


@dataclasses.dataclass(frozen=True)
class Flag:
    """One flag of a settings dataclass, resolved."""

    field: str
    name: str
    group: Group
    help: str
    default: Any
    effect: str | None
    aliases: tuple[str, ...]
    required: bool
    options: dict[str, Any]
    switch: bool  # takes no value
    parse: Callable[[str], Any]  # one word of it

    @property
    def choices(self) -> tuple:
        """What may be said; a function says what there is when it is asked, as of a registry."""
        choices = self.options.get("choices", ())
        return tuple(choices() if callable(choices) else choices)

    def add_to(self, parser: Any) -> None:
        """Add it to an argparse group; it stays out of the namespace where it is not given."""
        keywords: dict[str, Any] = {"dest": self.field, "default": argparse.SUPPRESS}
        if self.switch:
            keywords["action"] = "store_false" if self.default else "store_true"
        else:
            keywords |= self.options | {"type": self.parse}
            if keywords.pop("joined", False):
                del keywords["choices"]
                keywords["type"] = self._parse_joined
                keywords["metavar"] = f"{{{','.join(self.choices)}}}[,...]"
            elif self.choices:
                keywords["choices"] = self.choices
            if self.required:
                keywords["required"] = True
        parser.add_argument(self.name, help=self.help, **keywords)
        for alias in self.aliases:
            parser.add_argument(alias, **keywords | {"help": argparse.SUPPRESS})

    def convert(self, value: Any) -> Any:
        """Check a value that did not come from a command line; ValueError says what is wrong."""
        if self.switch:
            if isinstance(value, bool):
                return value
            raise ValueError(f"{self.name} is on or off: True or False, got {value!r}.")
        if value is None and not self.required:
            return None
        if self.options.get("nargs") in ("+", "*"):
            several = value if isinstance(value, (list, tuple)) else [value]
            return tuple(self._convert_one(one) for one in several)
        return self._convert_one(value)

    def _convert_one(self, value: Any) -> Any:
        try:
            result = self.parse(str(value))
            if self.options.get("joined"):
                return self._parse_joined(result)
            if self.choices and result not in self.choices:
                raise self._no_choice(value)
        except argparse.ArgumentTypeError as error:
            said = _bare_rule(f"argument {self.name}: {error}").removeprefix("argument ")
            raise ValueError(said) from None
        except ValueError:
            raise ValueError(f"{self.name}: invalid value {value!r}.") from None
        return result

    def _parse_joined(self, text: str) -> str:
        """Check choices that are joined by commas; return them so, without blanks."""
        words = [word.strip() for word in text.split(",")]
        for word in words:
            if word not in self.choices:
                raise self._no_choice(word)
            if words.count(word) > 1:
                raise argparse.ArgumentTypeError(f"must name each once, got {text}.")
        return ",".join(words)

    def _no_choice(self, value: Any) -> argparse.ArgumentTypeError:
        choices = ", ".join(map(str, self.choices))
        return argparse.ArgumentTypeError(f"invalid choice: {value!r} (choose from {choices})")


def flags_of(settings: type) -> dict[str, Flag]:
    """Return {field: Flag} of a settings dataclass, in order; fields without a flag are left out.

    The type of a field is that of its flag: bool makes a switch, Path takes ~ for the home folder.
    """
    hints = typing.get_type_hints(settings)
    return {
        field.name: _resolve(field, hints[field.name])
        for field in dataclasses.fields(settings)
        if "group" in field.metadata
    }


def _resolve(field: Any, hint: Any) -> Flag:
    said = dict(field.metadata)
    options, name = dict(said.pop("options")), said.pop("name")
    default = None if said["required"] else field.default
    switch = hint is bool
    said["help"] = said["help"].replace("%(default)s", str(default))
    hyphened = field.name.replace("_", "-")
    name = name or (f"--no-{hyphened}" if switch and default else f"--{hyphened}")
    parse = options.pop("type", None) or _parser_of(hint)
    return Flag(
        field=field.name,
        name=name,
        default=default,
        options=options,
        switch=switch,
        parse=parse,
        **said,
    )


def _parser_of(hint: Any) -> Callable[[str], Any]:
    """The function that reads a word of this type."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if typing.get_origin(hint) is tuple:
        hint = typing.get_args(hint)[0]
    return home_path if hint is Path else hint


def home_path(text: str) -> Path:
    """Return the path that a text means; ~ is the home folder."""
    return Path(text).expanduser()


def checked(kind: Callable[[str], Any], rule: str, holds: Callable[[Any], bool]) -> Any:
    """Return a reader of numbers that must keep a rule, said as in "must be positive"."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except (ValueError, ZeroDivisionError, OverflowError):
            raise argparse.ArgumentTypeError(f"{rule}, got {text}.") from None
        if not holds(value):
            raise argparse.ArgumentTypeError(f"{rule}, got {text}.")
        return value

    return parse


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints read like ours: `--fps must be ...`."""

    def error(self, message: str) -> typing.NoReturn:
        """Print one line and end with status 2."""
        super().error(_bare_rule(message))


def _bare_rule(message: str) -> str:
    """Let a sentence about a flag begin with the flag."""
    return re.sub(r"^argument (--[\w-]+): (must|takes) ", r"\1 \2 ", message)


def add_flags(parser: argparse.ArgumentParser, settings: type) -> None:
    """Put the flags of a settings dataclass into a parser, group by group."""
    groups: dict[Group, Any] = {}
    for flag in flags_of(settings).values():
        if flag.group not in groups:
            groups[flag.group] = parser.add_argument_group(flag.group.title, flag.group.text)
        flag.add_to(groups[flag.group])


def convert(settings: type, values: dict[str, Any]) -> dict[str, Any]:
    """Check values by the flags of a settings dataclass.

    Args:
        values: {field: value}, as text or of the field's type.
    Raises:
        TypeError: there is no such setting; names the nearest.
        ValueError: a value that the command line would not take either.
    """
    flags = flags_of(settings)
    for name in values.keys() - flags.keys():
        near = difflib.get_close_matches(name, flags, 1)
        raise TypeError(
            f"there is no setting {name!r}." + (f" Is {near[0]!r} meant?" if near else "")
        )
    return {name: flags[name].convert(value) for name, value in values.items()}
