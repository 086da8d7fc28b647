"""The HTTP API: routes, request bodies, answers, and the OpenAPI document that describes them."""
