"""Optional outputs over MQTT. Each is a function from what was logged to messages; the link sends them, or leaves them out."""
