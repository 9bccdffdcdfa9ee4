"""Where side effects live: cameras, the log, the outbox, MQTT, systemd. Nothing happens on import."""
