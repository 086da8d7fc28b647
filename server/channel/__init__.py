"""The WebSocket channel `lading.v1`: `GET /v1/ws`."""
