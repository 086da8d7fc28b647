"""OpenAPI: how a handler carries its own description, and the document and page made of them."""
