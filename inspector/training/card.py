"""The numbers in a model's card: a table between two markers, written from evaluation.json so that both tell the same."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"
_CASES = {"reports": "its reports", "no_reports": "none", "shuffled_reports": "another picture's"}


def update_card(path: Path, numbers: Mapping[str, Any]) -> None:
    """Write the table into the card; a card without markers, or none, gets it at its end."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if BEGIN not in text or END not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
    head, rest = text.split(BEGIN, 1)
    path.write_text(f"{head}{BEGIN}\n{table(numbers)}\n{END}{rest.split(END, 1)[1]}", encoding="utf-8")


def table(numbers: Mapping[str, Any]) -> str:
    """Return the validation numbers as a Markdown table."""
    lines = [
        "| product | reports | pictures | accuracy | macro-F1 | ECE | accuracy of the torch source | flips | largest difference |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in numbers.items():
        for case, words in _CASES.items():
            onnx, source, same = result[case]["onnx"], result[case]["torch"], result[case]["agreement"]
            cells = [name, words, str(onnx["n"]), *(f"{onnx[key]:.4f}" for key in ("accuracy", "macro_f1", "ece"))]
            cells += [f"{source['accuracy']:.4f}", str(same["flips"]), f"{same['largest_difference']:.4f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
