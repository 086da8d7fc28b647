"""tus 1.0 by HTTP: its answers and its requests, for the routes that speak it."""
