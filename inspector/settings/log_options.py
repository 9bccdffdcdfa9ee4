"""The sections about what is kept on this machine and how the station shows that it is well: ``[log]`` and ``[health]``."""

from typing import Literal

from pydantic import Field

from inspector.settings.base import File, Section


class LogSection(Section):
    """The log on this machine."""

    path: File | None = Field(
        None, description="Database file. Default: $STATE_DIRECTORY/<station>.db, else var/<station>/inspector.db below the root."
    )
    keep_images: Literal["none", "fail", "review", "all"] = Field("review", description='Pictures to keep: "review" keeps fail and review.')
    keep_heat_maps: Literal["none", "normality", "all"] = Field(
        "normality",
        description='Overlays beside kept pictures that did not pass: "normality": places unlike good parts, where normality is fitted; '
        '"all": also the places that spoke for the label, which costs the frame loop three verdicts\' time each; "none".',
    )
    keep_days: int = Field(90, ge=1, description="Days that published verdicts are kept.")
    keep_image_days: int = Field(14, ge=1, description="Days that pictures are kept.")
    min_free_bytes: int = Field(500_000_000, ge=0, description="Below this much free disk space pictures go first; check fails.")
    reserve_bytes: int = Field(
        32_000_000,
        ge=0,
        description="Length of a file beside the log that is given up when the disk is full, so that clearing up can still work; 0: none.",
    )


class HealthSection(Section):
    """Life signs."""

    stop_timeout_s: float = Field(10.0, gt=0.0, le=60.0, description="How long a stop may take to empty the outbox.")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port on 127.0.0.1 where Prometheus finds the station's metrics; 0: none.")
    metrics_every_s: float = Field(
        60.0, ge=0.0, le=86_400.0, description="How often figures about the daemon go out on the MQTT topic metrics; 0: never."
    )
    max_rss_bytes: int = Field(
        0, ge=0, description="Memory of the daemon above which it stops in order, to be started anew by systemd; 0: no limit."
    )
    log_format: Literal["auto", "text", "logfmt", "json"] = Field(
        "auto", description='Lines on stderr: "text", "logfmt" (key=value), "json"; "auto": logfmt where systemd reads them, else text.'
    )
