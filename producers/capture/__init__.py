"""One camera, in a process of its own that may hang or be killed: `python -m producers.capture`."""
