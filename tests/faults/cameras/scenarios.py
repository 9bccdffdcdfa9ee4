"""The scenarios: what is done to which camera, when it is put right, and what must be told of it."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from inspector.settings import CameraSection

GIGE, RTSP, SECOND = "gige", "rtsp", "second"
RTSP_PORT, MJPEG_PORT = 8557, 8591


class Server:
    """A camera's process."""

    def __init__(self, module: str, *arguments: str) -> None:
        """Name the module below this package; it does not run yet."""
        self._command = [sys.executable, "-m", f"tests.faults.cameras.{module}", *arguments]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None or self._process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{self._command} did not start")

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, even if it is stopped."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None


def _sends(number: signal.Signals) -> Callable[[Server], None]:
    return lambda server: server.signal(number)


def _restart(server: Server) -> None:
    server.kill()
    server.start()


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fault of one camera."""

    name: str
    """What is done."""
    camera: str
    """``GIGE`` or ``RTSP``."""
    inject: Callable[[Server], None] = lambda _: None
    """Do it."""
    cure: Callable[[Server], None] | None = None
    """Put it right; None if nothing is to be done."""
    hold_s: float = 6.0
    """How long it lasts."""
    must_tell: bool = True
    """False if it is no fault of the camera."""
    recovers: bool = True
    """False if only other settings help."""
    keys: dict[str, str] = field(default_factory=dict)
    """Settings besides the usual ones."""
    pause_s: float = 0.0
    """How long the taker dwells on each frame meanwhile."""


SCENARIOS = (
    Scenario("GigE camera killed", GIGE, Server.kill, Server.start),
    Scenario("GigE camera hung (SIGSTOP)", GIGE, _sends(signal.SIGSTOP), _sends(signal.SIGCONT)),
    Scenario("control taken away", GIGE, _sends(signal.SIGUSR2)),
    Scenario("picture frozen", GIGE, _sends(signal.SIGUSR1), _restart),
    Scenario("1 % of packets lost", GIGE, _sends(signal.SIGALRM), _sends(signal.SIGHUP), hold_s=8.0),
    Scenario("wrong pixel format asked for", GIGE, recovers=False, keys={"pixel_format": "BayerRG14"}),
    Scenario("RTSP camera killed", RTSP, Server.kill, Server.start),
    Scenario("RTSP camera hung (SIGSTOP)", RTSP, _sends(signal.SIGSTOP), _sends(signal.SIGCONT)),
    Scenario("slow reader (0.3 s a frame)", RTSP, must_tell=False, pause_s=0.3),
)


def section(scenario: Scenario) -> CameraSection:
    """Return the settings of the camera that the fault befalls: the defaults."""
    if scenario.camera == RTSP:
        return CameraSection.model_validate({"kind": "rtsp", "url": f"rtsp://127.0.0.1:{RTSP_PORT}/stream"})
    return CameraSection.model_validate({"kind": "genicam", "device": "127.0.0.1", "pixel_format": "Mono8", **scenario.keys})


def second_section() -> CameraSection:
    """Return the settings of the camera beside it."""
    return CameraSection.model_validate({"kind": "rtsp", "url": f"http://127.0.0.1:{MJPEG_PORT}/stream"})
