"""Who is measured: name, the module of tests/peers that builds it, and whether it needs the environment of the peers."""

OURS = "inspector-edge, whole verdict"
CONTENDERS = {
    OURS: ("own", False),
    "classifier of the same tower, 256 px": ("own", False),
    "YOLO11n-cls, 224 px": ("yolo", True),
    "YOLO11n detection, 640 px": ("yolo", True),
    "PatchCore, WideResNet-50, 224 px": ("anomaly", True),
    "EfficientAD-S, 256 px": ("anomaly", True),
}
