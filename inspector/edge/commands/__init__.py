"""Commands over MQTT: what may be asked, who lets it in, and the republishing of what is in the log."""
