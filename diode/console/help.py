"""How help texts look: commands in panels by what a person wants, arguments by names in capitals, 80 columns.

They are plain text on a terminal as elsewhere. ``rich`` would draw boxes, and takes longer to load than all else that a
help text needs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from typer.core import TyperCommand, TyperGroup

Panels = Mapping[str, Sequence[str]]  # the names of commands, by the head of their panel

OTHERS: Final = "Commands"  # the panel of commands that no other panel names


class HelpfulCommand(TyperCommand):
    """A command whose help names its values in capitals."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write its arguments and options."""
        write_options(self.get_params(ctx), ctx, formatter)


class HelpfulGroup(TyperGroup):
    """A program, or a group of commands, whose help lists its commands by ``panels``."""

    panels: ClassVar[Panels] = {}

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write its commands, and its options after them."""
        self.format_commands(ctx, formatter)
        write_options(self.get_params(ctx), ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, each with the first sentence of its help."""
        limit = formatter.width - 6 - max(map(len, self.commands))
        for head, names in self.by_panel():
            with formatter.section(head):
                width = max(map(len, self.commands))
                rows = [(name.ljust(width), self.commands[name].get_short_help_str(limit)) for name in names]
                formatter.write_dl(rows)

    def by_panel(self) -> Iterator[tuple[str, list[str]]]:
        """The names of the commands of each panel; those that none names are in the last one."""
        named = {name for names in self.panels.values() for name in names}
        others = {OTHERS: [name for name in self.commands if name not in named]}
        for head, names in {**self.panels, **others}.items():
            if there := [name for name in names if name in self.commands]:
                yield head, there


def group_of(panels: Panels) -> type[HelpfulGroup]:
    """The class of a group with these panels."""
    return type("Group", (HelpfulGroup,), {"panels": panels})


def write_options(params: Sequence[Any], ctx: Any, formatter: Any) -> None:
    """Write the arguments and options of a command."""
    rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for param in params:
        _name_value(param)
        if (record := param.get_help_record(ctx)) is not None:
            name = record[0]
            if param.param_type_name == "argument":
                name = param.metavar
            rows[param.param_type_name].append((name, record[1]))
    for kind, head in (("argument", "Arguments"), ("option", "Options")):
        if rows[kind]:
            with formatter.section(head):
                formatter.write_dl(rows[kind])


def _name_value(param: Any) -> None:
    """Show a value that nobody named by the name of its option. Choices are shown as they are."""
    if param.metavar is None and not getattr(param, "is_flag", False) and not param.type_descriptor.is_choice:
        param.metavar = param.opts[-1].lstrip("-").replace("-", "_").upper()
