"""What the calls of a client share: settings, headers, hooks, telemetry."""
