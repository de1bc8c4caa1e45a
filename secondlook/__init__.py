"""Two-stage camera alerts over MQTT: what all services share."""
