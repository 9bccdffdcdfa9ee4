"""The sections of station.toml: which keys there are, what they may hold and what they mean. docs/settings.md is generated from here.

Checks that look at several keys are field validators, so that one wrong key does not hide another; station-wide ones are in
``cross_mistakes``.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, ValidationInfo, field_validator, model_validator

from inspector.core.decision import DecisionCalibration
from inspector.core.label import LabelSet, Severity
from inspector.core.region import Region
from inspector.settings.base import File, Name, Section, Share, Span, Texts
from inspector.settings.cameras import CameraSection
from inspector.settings.log_options import HealthSection, LogSection
from inspector.settings.mqtt_options import CommandsSection, ExtrasSection

Precision: TypeAlias = Literal["float32", "bfloat16", "int8", "int4"]
Device: TypeAlias = Literal["auto", "cpu", "cuda"]
VisionRuntime: TypeAlias = Literal["torch", "onnx"]
ImageTokens: TypeAlias = Literal["16x", "4x"]
Symmetry: TypeAlias = Literal["none", "left-right", "up-down", "both", "all"]


class StationSection(Section):
    """Where the station stands."""

    site: Name = Field("site", description="Site in the MQTT topic (ISA-95).")
    area: Name = Field("area", description="Area in the MQTT topic.")
    line: Name = Field("line", description="Line in the MQTT topic.")
    product: Name | None = Field(None, description="Product in view when a frame names none; may be left out if there is only one.")
    is_simulated: bool = Field(False, description="True marks every result as a test, not a part on the line.")


class ProductSection(Section):
    """A product and its closed label vocabulary."""

    labels: Texts = Field(description="Label names; the model can answer with these only.")
    good: str | None = Field(
        None, validate_default=True, description='The label that means "no defect". Without it nothing can pass. It may be the only label.'
    )
    description: str = Field("", max_length=200, description="The product in a few words; the model reads it. Empty: the product's name.")
    display: dict[str, dict[str, str]] = Field(default_factory=dict, description="Names for people: {label: {language: text}}.")
    symmetry: Symmetry = Field(
        "none",
        description='How a picture may be mirrored without showing another part: "left-right", "up-down", "both", or "all" (quarter turns '
        "too). Training makes more of the pictures with it.",
    )
    severity: dict[str, Severity] = Field(default_factory=dict, description="minor, major or critical for each label; major if not named.")

    @field_validator("labels", "good", "display", "severity")
    @classmethod
    def _fits_labels(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  # four fields of four types
        """Hold each field against the labels; the rules themselves stand in the core."""
        key = str(info.field_name)
        labels = value if key == "labels" else info.data.get("labels")
        if labels is None:
            return value
        whole = LabelSet(**{"names": labels} if key == "labels" else {"names": labels, key: value})
        own = [line for line in whole.mistakes() if line.startswith((f"{key}:", f"{key}["))]
        if own:
            raise ValueError("\n".join(own))
        return value

    def label_set(self) -> LabelSet:
        """Return the labels as the core knows them."""
        return LabelSet(self.labels, self.good, self.display, self.severity)


class RegionSection(Section):
    """A region of interest."""

    box_px: Annotated[tuple[int, int, int, int], Field(strict=False)] = Field(description="[x, y, width, height] in pixels of the frame.")

    @field_validator("box_px")
    @classmethod
    def _has_area(cls, value: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        x, y, width, height = value
        if x < 0 or y < 0 or width < 1 or height < 1:
            raise ValueError(f"[x, y, width, height] = {list(value)}: x and y must be 0 or more, width and height 1 or more")
        return value


class QualitySection(Section):
    """When a picture is too poor to be judged."""

    min_side_px: int = Field(32, ge=1, description="A region with a shorter side is a quality fault.")
    max_pixels: int = Field(120_000_000, ge=1, description="A frame with more pixels is a quality fault.")
    luminance_range: Span = Field((2.0, 253.0), description="Mean luminance (0..255) outside is a quality fault.")
    blur_min: float = Field(0.0, ge=0.0, description="Variance of Laplacian below is a quality fault; 0 switches the check off.")


class ModelSection(Section):
    """The checkpoint that judges."""

    checkpoint: str = Field("inspector-edge", description="Folder below models/, or a path.")
    providers: Texts = Field(("CPUExecutionProvider",), description="ONNX Runtime execution providers, best first.")
    threads: int = Field(2, ge=1, le=64, description="Threads of one inference.")
    max_batch: int = Field(4, ge=1, le=64, description="Frames judged together when several wait.")
    precision: Precision = Field("bfloat16", description="Full MiniCPM-V: weights as float32, bfloat16, int8 or int4 (docs/full-model.md).")
    device: Device = Field("auto", description="Full MiniCPM-V: cpu or cuda; auto takes cuda where it is there.")
    max_memory_bytes: int = Field(
        0, ge=0, description="Full MiniCPM-V: refused before loading if it needs more; 0: more than this machine has free."
    )
    image_tokens: ImageTokens = Field("16x", description="Full MiniCPM-V: 4x keeps four times more slots a picture than 16x.")
    vision: VisionRuntime = Field(
        "torch", description="Full MiniCPM-V: what runs its vision side; onnx: the graph of inspector models export, on model.providers."
    )
    max_slices: int = Field(9, ge=1, le=36, description="Full MiniCPM-V: a large picture is cut into at most so many slices; 1: none.")


class ReportsSection(Section):
    """The historical QC reports."""

    encoder: str = Field(
        "all-MiniLM-L6-v2",
        description="The encoder shipped through PyPI, or a sentence-transformers folder (a relative path is taken from the station's).",
    )
    max_reports: int = Field(4, ge=0, le=16, description="Reports that stand in the model's input; 0 switches them off.")
    recency_days: float = Field(30.0, gt=0.0, description="Age at which a report's recency has fallen to 1/e.")
    recency_weight: Share = Field(0.5, description="Weight of recency against similarity, 0..1.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Where a CSV or JSONL field is found: "
        "{report_id = ..., written_at = ..., product = ..., lot = ..., label = ..., text = ...}.",
    )


class DecisionSection(Section):
    """Thresholds that overrule decision.toml; what is left out is taken from there."""

    pass_above: Share | None = Field(None, description="Least probability of the good label for a pass.")
    fail_above: Share | None = Field(None, description="Least probability of a defect for a fail.")


class MqttSection(Section):
    """The broker."""

    enabled: bool = Field(True, description="False keeps results in the log alone.")
    host: str = Field("127.0.0.1", description="Broker's name or address.")
    port: int = Field(1883, ge=1, le=65535, description="Broker's port.")
    root: str = Field("inspector/v1", description="Topics begin with this; no wildcard, no leading or closing slash.")
    username: str | None = Field(None, description="User name.")
    password_file: File | None = Field(
        None, description="File that holds the password, mode 0600; or the systemd credential mqtt-password."
    )
    ca_file: File | None = Field(None, description="Certificate authority; switches TLS on.")
    cert_file: File | None = Field(None, description="Client certificate.")
    key_file: File | None = Field(None, validate_default=True, description="Client key.")
    insecure: bool = Field(False, validate_default=True, description="True allows plain MQTT to a broker that is not on this machine.")
    window: int = Field(20, ge=1, le=1000, description="Messages in flight at most.")
    ack_timeout_s: float = Field(10.0, gt=0.0, description="Silence after which the connection is given up and opened anew.")
    keepalive_s: int = Field(15, ge=5, le=3600, description="MQTT keep-alive.")

    @field_validator("root")
    @classmethod
    def _is_topic(cls, value: str) -> str:
        if any(sign in value for sign in "+#$\0") or "" in value.split("/"):
            raise ValueError(f'"{value}" may not be empty, hold + # $ or an empty level, or begin or end with a slash')
        return value

    @field_validator("key_file")
    @classmethod
    def _has_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "cert_file" in info.data and (info.data["cert_file"] is None) != (value is None):
            raise ValueError("cert_file and key_file belong together: give both or neither")
        return value

    @field_validator("insecure")
    @classmethod
    def _is_safe(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001  # the field is a switch
        """Ask for TLS, or for a clear word that plain MQTT is meant, wherever the broker is another machine."""
        host, read = info.data.get("host"), {"host", "ca_file"} <= info.data.keys()
        if read and host not in {"127.0.0.1", "localhost", "::1"} and info.data["ca_file"] is None and not value:
            raise ValueError(f'host = "{host}" is another machine: set ca_file for TLS, or insecure = true to accept plain MQTT')
        return value


class StationSettings(Section):
    """All of station.toml."""

    name: Name = Field(description="Name of the station: the name of its folder.")
    folder: File = Field(Path(), description="The station's folder; relative paths are taken from here.")
    station: StationSection = Field(default_factory=StationSection, description="Where the station stands.")
    products: dict[Name, ProductSection] = Field(description="One table for each product.", min_length=1)
    cameras: dict[Name, CameraSection] = Field(description="One table for each camera.", min_length=1)
    regions: dict[Name, RegionSection] = Field(default_factory=dict, description="One table for each region; none: the whole frame.")
    quality: QualitySection = Field(default_factory=QualitySection, description="When a picture is too poor to be judged.")
    model: ModelSection = Field(default_factory=ModelSection, description="The checkpoint that judges.")
    reports: ReportsSection = Field(default_factory=ReportsSection, description="The historical QC reports.")
    decision: DecisionSection = Field(default_factory=DecisionSection, description="Thresholds that overrule decision.toml.")
    log: LogSection = Field(default_factory=LogSection, description="The log on this machine.")
    mqtt: MqttSection = Field(default_factory=MqttSection, description="The broker.")
    commands: CommandsSection = Field(default_factory=CommandsSection, description="Commands over MQTT: docs/mqtt.md.")
    extras: ExtrasSection = Field(
        default_factory=ExtrasSection,
        description="Optional outputs over MQTT. They have a connection of their own and never hold up a result.",
    )
    health: HealthSection = Field(default_factory=HealthSection, description="Life signs.")

    @model_validator(mode="after")
    def _hangs_together(self) -> "StationSettings":
        if mistakes := cross_mistakes(self.products, self.station.product):
            raise ValueError("\n".join(mistakes))
        return self

    @property
    def default_product(self) -> str:
        """Product in view when a frame names none."""
        return self.station.product or next(iter(self.products))

    def region_list(self) -> tuple[Region, ...]:
        """Return the regions to judge; the whole frame if none is set."""
        return tuple(Region(name, section.box_px) for name, section in self.regions.items()) or (Region("frame"),)

    @property
    def age_limits_ms(self) -> dict[str, float]:
        """Age above which a frame is not judged, by camera; those without a limit are left out."""
        return {name: camera.age_limit_ms for name, camera in self.cameras.items() if camera.age_limit_ms is not None}

    def resolve(self, path: Path) -> Path:
        """Return a path of the settings, taken from the station's folder unless it is absolute."""
        return self.folder / path

    @property
    def encoder(self) -> str:
        """Name of the report encoder, or its folder taken from the station's folder."""
        folder = self.resolve(Path(self.reports.encoder))
        return str(folder) if folder.is_dir() else self.reports.encoder

    def override(self, calibration: DecisionCalibration) -> DecisionCalibration:
        """Return a product's calibration with the thresholds that [decision] sets by hand."""
        return calibration.overruled(self.decision.pass_above, self.decision.fail_above)


def cross_mistakes(products: Iterable[str], chosen: str | None) -> list[str]:
    """Return what does not fit between the sections: the product in view against the products."""
    names = list(products)
    if chosen is None and len(names) > 1:
        return [f"station.product: needed, because there are several products ({', '.join(names)})"]
    if chosen is not None and names and chosen not in names:
        return [f'station.product: "{chosen}" is not one of the products {", ".join(names)}']
    return []
