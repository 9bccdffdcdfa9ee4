"""The tree of errors. Raised where seen; caught in three places only: the frame loop, ``drain``, the CLI.

::

    InspectorError
    |-- SettingsError       a station's settings are wrong; lists every mistake at once
    |-- CalibrationError    a camera or decision calibration is missing or does not fit
    |-- CheckpointError     a model folder is missing, truncated, altered or does not fit the station
    |-- DataError           labelled pictures cannot be learnt from; lists every problem
    |-- ReportError         a report file or the report encoder cannot be used
    |-- CameraError         a camera cannot be opened or read
    |   `-- CameraLost      a camera that worked has stopped delivering
    |-- PredictionError     the model could not judge a region
    |-- LogError            the log cannot be opened, read or written
    |   |-- DiskFull        its disk has no room left
    |   `-- LogDamaged      its file is damaged
    |-- RestartNeeded       the daemon has stopped in order and asks to be started anew
    |-- PublishError        a message cannot be published
    `-- DashboardError      the dashboard cannot be served

Every message names the file, key or topic, what was expected and what to do.
"""


class InspectorError(Exception):
    """Base of all errors that a user can cause or cure."""


class SettingsError(InspectorError):
    """Settings are wrong. ``mistakes`` holds one line for each."""

    def __init__(self, source: str, mistakes: list[str]) -> None:
        """Name the file and list every mistake found in it."""
        self.source = source
        self.mistakes = mistakes
        count = f"{len(mistakes)} mistake{'s' if len(mistakes) != 1 else ''}"
        super().__init__(f"{source}: {count}\n" + "\n".join(f"  - {line}" for line in mistakes))


class CalibrationError(InspectorError):
    """A calibration is missing, unreadable or does not fit its station."""


class CheckpointError(InspectorError):
    """A model folder is missing, truncated, altered or does not fit the station."""


class DataError(InspectorError):
    """Labelled pictures cannot be learnt from or measured with. ``problems`` holds one line for each."""

    def __init__(self, source: str, problems: list[str], shown: list[str] | None = None) -> None:
        """Name the folder and its problems; ``shown`` are the lines to print where there are too many."""
        self.source = source
        self.problems = problems
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__(f"{source}: {count}\n" + "\n".join(f"  - {line}" for line in shown or problems))


class ReportError(InspectorError):
    """A report file or the report encoder cannot be used."""


class CameraError(InspectorError):
    """A camera cannot be opened or read."""


class CameraLost(CameraError):
    """A camera that worked has stopped delivering frames."""


class PredictionError(InspectorError):
    """The model could not judge a region."""


class LogError(InspectorError):
    """The log cannot be opened, read or written."""


class DiskFull(LogError):
    """The disk of the log has no room left."""


class LogDamaged(LogError):
    """The log's file is damaged; the next start of the daemon sets it aside and copies what can be read."""


class RestartNeeded(InspectorError):
    """The daemon has stopped in order, with everything logged, and asks whoever started it to start it anew."""


class PublishError(InspectorError):
    """A message cannot be published."""


class DashboardError(InspectorError):
    """The dashboard cannot be served: its users, its address or its stations."""
