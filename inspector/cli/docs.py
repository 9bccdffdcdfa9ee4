"""``inspector docs``: write the generated parts of the documentation, or see that they are up to date."""

from collections.abc import Callable
from pathlib import Path

import click

from inspector.cli.reference import cli_reference, replaced, settings_reference
from inspector.cli.source_tree import source_tree
from inspector.errors import InspectorError


@click.command
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a page is out of date.")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), help="Folder with settings.md and cli.md; default: docs/ below --root."
)
@click.pass_context
def command(ctx: click.Context, check: bool, folder: Path | None) -> None:
    """Write the tables in docs/settings.md and docs/cli.md and the tree in README.md from the code."""
    place = folder or ctx.obj / "docs"
    pages: dict[str, tuple[Path, Callable[[], str]]] = {
        "settings": (place / "settings.md", settings_reference),
        "cli": (place / "cli.md", lambda: cli_reference(_main(ctx))),
    }
    if folder is None:
        pages["tree"] = (ctx.obj / "README.md", lambda: source_tree(ctx.obj))
    stale = [path for name, (file, page) in pages.items() if (path := _write(file, name, page(), check=check))]
    for path in stale:
        click.echo(f"{path}: {'out of date, run: make docs' if check else 'written'}")
    if not stale:
        click.echo("documentation is up to date")
    if check and stale:
        raise click.exceptions.Exit(1)


def _main(ctx: click.Context) -> click.Group:
    """Return the group of all verbs."""
    root = ctx.find_root().command
    if not isinstance(root, click.Group):
        raise click.UsageError("run this as a verb of inspector")
    return root


def _write(path: Path, marker: str, body: str, *, check: bool) -> Path | None:
    """Put a body between a page's markers; return the page's path if that changes it."""
    try:
        text = path.read_text(encoding="utf-8")
        new = replaced(text, marker, body)
        if new == text:
            return None
        if not check:
            path.write_text(new, encoding="utf-8")
    except OSError as error:
        raise InspectorError(
            f"{path}: cannot be read or written ({error.strerror}); run this in the repository, or name it with --folder"
        ) from error
    except ValueError as error:
        raise InspectorError(f"{path}: {error}") from error
    return path
