"""The options that say where labelled pictures lie and which of them show the same part; train, evaluate and calibrate share them.

``@data_options()`` gives a verb one parameter, ``data``: a ``DataChoice`` (or None where the verb does not require ``--data``), whose
``read`` is ``read_labelled`` with everything that was said on the command line.
"""

import functools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from inspector.core.label import LabelSet

if TYPE_CHECKING:
    from inspector.training.groups import GroupRule
    from inspector.training.labelled_folder import Labelled
    from inspector.training.listing import Listed

_OPTIONS = (
    click.option("--groups-csv", type=click.Path(dir_okay=False, path_type=Path), help="Table with file,group[,lot,taken_at]."),
    click.option("--group-pattern", metavar="REGEX", help="Pattern of file names; its first bracket is the group: '(\\d+)_.*'."),
    click.option("--group-level", type=click.IntRange(min=1), help="Folder below the label that names the group; 1 is the next one."),
    click.option("--no-groups", is_flag=True, help="Every picture shows a part of its own."),
    click.option(
        "--map", "renames", multiple=True, metavar="LABEL=NAME,...", help="Folder's labels that stand for a label of the station."
    ),
)


@dataclass(frozen=True, slots=True)
class DataChoice:
    """What the command line says about labelled pictures."""

    folder: Path
    """Data folder."""
    groups: "GroupRule | None"
    """Which pictures show the same part; None if nothing was said."""
    renames: Mapping[str, str]
    """Folder's label to station's label."""
    loose: bool = False
    """True if every picture below the folder bears the good label, wherever it lies."""

    def read(
        self,
        labels: LabelSet,
        *,
        split: Literal["train", "val", "test"] | None = None,
        needed: Collection[str] | None = None,
        work: Path | None = None,
        reviewed: "Sequence[Listed]" = (),
    ) -> "Labelled":
        """Read the pictures, with progress and the first notes on stderr. Raises ``DataError``; see ``read_labelled``."""
        from rich.console import Console  # noqa: PLC0415 - quick --help

        from inspector.training.labelled_folder import read_labelled  # noqa: PLC0415 - as above

        console = Console(stderr=True)
        labelled = read_labelled(
            self.folder,
            labels,
            groups=self.groups,
            split=split,
            renames=self.renames,
            needed=needed,
            work=work,
            console=console,
            only=labels.good if self.loose else None,
            reviewed=reviewed,
        )
        for line in labelled.few_notes():
            click.echo(f"note: {line}", err=True)
        if labelled.remarks and work is not None:
            click.echo(f"note: the whole list is in {work / 'pictures.txt'}", err=True)
        return labelled


def data_options(*, required: bool = True, loose: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that adds the options to a verb and hands it ``data``; ``loose`` adds ``--pictures`` in place of ``--data``."""

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(verb)
        def with_choice(
            *args: Any,  # noqa: ANN401 - whatever the verb takes
            data: Path | None,
            groups_csv: Path | None,
            group_pattern: str | None,
            group_level: int | None,
            no_groups: bool,
            renames: Sequence[str],
            pictures: Path | None = None,
            **more: Any,  # noqa: ANN401 - as above
        ) -> Any:  # noqa: ANN401 - as above
            rule = _rule(groups_csv, group_pattern, group_level, no_groups=no_groups)
            if data is not None and pictures is not None:
                raise click.UsageError("--data and --pictures exclude each other; give one")
            return verb(*args, data=_choice(data or pictures, rule, renames, loose=pictures is not None), **more)

        folder = click.Path(exists=True, file_okay=False, path_type=Path)
        options = [click.option("--data", required=required, type=folder, help="Folder of labelled pictures (docs/data.md)."), *_OPTIONS]
        if loose:
            options.insert(1, click.option("--pictures", type=folder, help="Folder of pictures of good parts alone, without labels."))
        return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), with_choice)

    return decorate


def _choice(folder: Path | None, rule: "GroupRule | None", words: Sequence[str], *, loose: bool) -> DataChoice | None:
    from inspector.training.label_names import parse_renames  # noqa: PLC0415 - quick --help

    if folder is None:
        if rule is not None or words:
            raise click.UsageError("groups and --map speak of pictures: give their folder with --data")
        return None
    if loose and words:
        raise click.UsageError("--map speaks of labels; pictures given with --pictures have none")
    return DataChoice(folder, rule, parse_renames(words), loose)


def _rule(table: Path | None, pattern: str | None, level: int | None, *, no_groups: bool) -> "GroupRule | None":
    """Return the one rule that was given. Raises ``UsageError`` if there are two, or the pattern is none."""
    from inspector.training.groups import ByLevel, ByPattern, ByTable, NoGroups  # noqa: PLC0415 - quick --help

    rules: list[GroupRule] = [ByTable(table)] if table is not None else []
    rules += [ByPattern(_compiled(pattern))] if pattern is not None else []
    rules += [ByLevel(level)] if level is not None else []
    rules += [NoGroups()] if no_groups else []
    if len(rules) > 1:
        raise click.UsageError("--groups-csv, --group-pattern, --group-level and --no-groups exclude each other; give one")
    return rules[0] if rules else None


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise click.UsageError(f"--group-pattern '{pattern}' is no regular expression: {error}") from error
    if not compiled.groups:
        raise click.UsageError(f"--group-pattern '{pattern}' has no bracket; put the part's number into one: '(\\d+)_.*'")
    return compiled
