"""The section of one camera in station.toml: what delivers the frames, how it is set, and when its frames may not be trusted."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from inspector.settings.base import File, Section

_SOURCES = {"folder": "path", "video": "path", "device": "device", "rtsp": "url", "genicam": "device"}
_FROZEN_AFTER = {"device": 5, "genicam": 5, "rtsp": 50}
"""Equal pictures that no sensor's noise explains. A video codec may well repeat the picture of a still scene, so it is given more."""
_MAX_AGE_MS = 2000.0


class CameraSection(Section):
    """One camera."""

    kind: Literal["folder", "video", "device", "rtsp", "genicam"] = Field(description="What delivers the frames: docs/cameras.md.")
    path: File | None = Field(None, validate_default=True, description="folder, video: what to read.")
    device: int | str | None = Field(
        None,
        validate_default=True,
        description="device: number or path, 0 means /dev/video0. genicam: serial number, user name, IP or MAC address, in quotes.",
    )
    url: str | None = Field(None, validate_default=True, description="rtsp: address, rtsp://... (http:// and tcp:// streams work too).")
    trigger: Literal["every", "newest"] | None = Field(
        None,
        description='"every": each frame counts and the camera waits (default for folder, video, and genicam with a trigger source); '
        '"newest": free run, an old frame gives way to a new one and is counted as dropped (default for the others).',
    )
    rate_hz: float = Field(
        0.0,
        ge=0.0,
        le=1000.0,
        description="folder, video: frames a second; 0 is as fast as they are judged. genicam: what to ask for; 0 leaves the camera's.",
    )
    loop: bool = Field(False, description="folder, video: begin again after the last frame.")
    watch: bool = Field(False, description="folder: wait for new files after the last one.")
    manifest: File | None = Field(
        None, description="folder: CSV with file, product, lot, part_id, recorded_at; its order is the replay order."
    )
    queue_frames: int = Field(4, ge=1, le=256, description='Frames that may wait when trigger is "every".')
    open_timeout_s: float = Field(5.0, gt=0.0, le=120.0, description="Live cameras: how long opening may take.")
    read_timeout_s: float = Field(
        2.0,
        gt=0.0,
        le=120.0,
        description="Live cameras: silence after which it counts as lost: of its pictures, or, if it waits for triggers, of its driver.",
    )
    max_age_ms: float | None = Field(
        None,
        ge=0.0,
        description=f"Live cameras: a frame older than this is not judged but goes to review; 0 is no limit. Default: {_MAX_AGE_MS:g}.",
    )
    frozen_after: int | None = Field(
        None,
        ge=0,
        description="Live cameras: so many equal pictures in a row are a fault; 0 switches the check off. "
        "Default: 5 for device and genicam, 50 for rtsp.",
    )
    width_px: int | None = Field(None, ge=1, description="device: width to ask for.")
    height_px: int | None = Field(None, ge=1, description="device: height to ask for.")
    interface: str | None = Field(None, description="genicam: name or address of the network interface that the camera hangs on.")
    pixel_format: str | None = Field(None, description='genicam: such as "Mono8" or "BayerRG8"; nothing leaves the camera\'s.')
    exposure_us: float | None = Field(None, gt=0.0, description="genicam: exposure time, microseconds; nothing leaves the camera's.")
    gain_db: float | None = Field(
        None, description="genicam: gain, in the camera's unit, which is dB for most; nothing leaves the camera's."
    )
    roi_px: Annotated[tuple[int, int, int, int] | None, Field(strict=False)] = Field(
        None, description="genicam: [x, y, width, height] of the sensor to read out; nothing leaves the camera's."
    )
    trigger_source: Literal["none", "software", "hardware"] = Field(
        "none", description='genicam: "none": free run; "software": the command trigger; "hardware": a signal on trigger_line.'
    )
    trigger_line: str = Field("Line1", description="genicam: input that a hardware trigger comes in at.")
    packet_bytes: int | None = Field(
        None, ge=576, le=16_384, description="genicam: packet size, at most the network's MTU; nothing leaves the camera's."
    )
    packet_delay_us: float | None = Field(
        None,
        ge=0.0,
        le=100_000.0,
        description="genicam: pause between packets, where several cameras share a link; nothing leaves the camera's.",
    )

    @property
    def is_live(self) -> bool:
        """True for a camera, False for a replay of files."""
        return self.kind not in {"folder", "video"}

    @property
    def awaits_trigger(self) -> bool:
        """True if the camera is silent until it is triggered."""
        return self.kind == "genicam" and self.trigger_source != "none"

    @property
    def every_frame_counts(self) -> bool:
        """True if no frame may be dropped."""
        return (self.trigger or ("every" if not self.is_live or self.awaits_trigger else "newest")) == "every"

    @property
    def age_limit_ms(self) -> float | None:
        """Age above which a frame may not be judged; None if there is no limit: files may be of any age."""
        limit_ms = _MAX_AGE_MS if self.max_age_ms is None else self.max_age_ms
        return limit_ms if self.is_live and limit_ms else None

    @property
    def frozen_limit(self) -> int:
        """Number of the equal picture in a row that is a fault; 0 if any number is good."""
        return _FROZEN_AFTER.get(self.kind, 0) if self.frozen_after is None else self.frozen_after

    @field_validator("path", "device", "url")
    @classmethod
    def _is_given(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  # three fields of three types
        """Ask for the one key that this kind of camera reads from."""
        kind = info.data.get("kind")
        if value is None and kind is not None and _SOURCES[kind] == info.field_name:
            raise ValueError(f'kind = "{kind}" needs this key')
        if kind == "genicam" and isinstance(value, int):
            raise ValueError(f'write it in quotes, "{value}": serial numbers may begin with zeros')
        return value

    @field_validator("watch")
    @classmethod
    def _is_no_loop(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001  # the field is a switch
        if value and info.data.get("loop"):
            raise ValueError("loop and watch exclude each other: choose one")
        return value

    @field_validator("frozen_after")
    @classmethod
    def _is_more_than_one(cls, value: int | None) -> int | None:
        if value == 1:
            raise ValueError("1 would make every picture a fault: give 2 or more, or 0 to switch the check off")
        return value

    @field_validator("roi_px")
    @classmethod
    def _has_area(cls, value: tuple[int, int, int, int] | None) -> tuple[int, int, int, int] | None:
        if value is not None and (min(value[:2]) < 0 or min(value[2:]) < 1):
            raise ValueError(f"[x, y, width, height] = {list(value)}: x and y must be 0 or more, width and height 1 or more")
        return value
