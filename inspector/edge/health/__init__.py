"""How the station shows that it is well: figures, the port for Prometheus, the watch over threads, the condition as seen from outside."""
