"""The tree of the source with one line a file: the first sentence of each module's docstring."""

import ast
from pathlib import Path

_WIDTH = 34


def source_tree(root: Path) -> str:
    """Return the package's tree as a Markdown code block."""
    lines = []
    for path in sorted((root / "inspector").rglob("*.py"), key=_order):
        inside = path.relative_to(root)
        depth = "  " * (len(inside.parts) - 1)
        if path.name == "__init__.py":
            lines.append(f"{'  ' * (len(inside.parts) - 2)}{inside.parent.name}/".ljust(_WIDTH) + _first_sentence(path))
        else:
            lines.append(f"{depth}{path.name}".ljust(_WIDTH) + _first_sentence(path))
    return "\n".join(["```", *(line.rstrip() for line in lines), "```"])


def _order(path: Path) -> tuple[tuple[int, str], ...]:
    """Sort a folder's own line first, then its files, then its folders."""
    *folders, name = path.parts
    return (*((1, folder) for folder in folders), (-1 if name == "__init__.py" else 0, name))


def _first_sentence(path: Path) -> str:
    """Return what a module says of itself, cut at the first full stop or colon that ends a clause."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".")
