"""Teaching a full MiniCPM-V a station's product: LoRA adapters on attention, the report projector in full, merged into a model folder."""
