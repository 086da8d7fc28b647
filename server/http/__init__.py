"""The HTTP API: routes, request bodies, downloads, and the OpenAPI document that describes them."""
