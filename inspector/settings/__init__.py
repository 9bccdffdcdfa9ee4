"""Settings of one station: frozen sections read from ``calibration/<station>/``.

``read_station(folder)`` returns a ``StationSettings`` or raises ``SettingsError`` that lists every mistake at once, with a suggestion
for each misspelt key. Relative paths in the file are taken from the station's folder: ``settings.resolve(path)``. ``read_decision`` and
``read_camera_calibration`` read the measured files beside it.
"""

from inspector.settings.assist_options import PHONES, AssistSection
from inspector.settings.base import Name, Section, Share
from inspector.settings.calibration_files import (
    CameraTable,
    DecisionTable,
    ReferenceTable,
    read_camera_calibration,
    read_camera_calibrations,
    read_decision,
    read_decisions,
)
from inspector.settings.cameras import CameraSection
from inspector.settings.fits_of_models import keep_fits, restore_fits
from inspector.settings.log_options import HealthSection, LogSection
from inspector.settings.model_choice import choose_model
from inspector.settings.mqtt_options import CommandsSection, ExtrasSection, Verb
from inspector.settings.normality_files import NormalityTable, read_normalities, refuse_other_model, write_normality
from inspector.settings.sections import (
    DecisionSection,
    Device,
    ImageTokens,
    ModelSection,
    MqttSection,
    Precision,
    ProductSection,
    QualitySection,
    RegionSection,
    ReportsSection,
    StationSection,
    StationSettings,
    Symmetry,
)
from inspector.settings.station import parse_station, read_station, read_station_table, usable_parts

__all__ = [
    "PHONES",
    "AssistSection",
    "CameraSection",
    "CameraTable",
    "CommandsSection",
    "DecisionSection",
    "DecisionTable",
    "Device",
    "ExtrasSection",
    "HealthSection",
    "ImageTokens",
    "LogSection",
    "ModelSection",
    "MqttSection",
    "Name",
    "NormalityTable",
    "Precision",
    "ProductSection",
    "QualitySection",
    "ReferenceTable",
    "RegionSection",
    "ReportsSection",
    "Section",
    "Share",
    "StationSection",
    "StationSettings",
    "Symmetry",
    "Verb",
    "choose_model",
    "keep_fits",
    "parse_station",
    "read_camera_calibration",
    "read_camera_calibrations",
    "read_decision",
    "read_decisions",
    "read_normalities",
    "read_station",
    "read_station_table",
    "refuse_other_model",
    "restore_fits",
    "usable_parts",
    "write_normality",
]
