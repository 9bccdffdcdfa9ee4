"""``python killed_install.py FOLDER``: for every ``root-N`` below it, install its model and die by SIGKILL at the N-th change of a file.

Prints N of the first root whose installation had fewer changes than that.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from inspector.vlm.model_store import install

_CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "tempfile.mkstemp", "shutil.copyfile"}


def die_at(change: int, root: Path) -> None:
    """Arm the process: it dies just before its ``change``-th change below ``root``."""
    left = [change]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES and any(str(root) in str(argument) for argument in arguments):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def main(folder: Path) -> None:
    """Fork for each root, so that the model's runtime is imported once."""
    for number in range(len(list(folder.glob("root-*")))):
        root = folder / f"root-{number}"
        child = os.fork()
        if child == 0:
            die_at(number, root)
            install(root, root / "calibration" / "s1", root / "fresh")
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, "the installation failed"
            sys.stdout.write(str(number))
            return


main(Path(sys.argv[1]))
