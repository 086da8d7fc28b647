"""Who is asking: credentials, and the principal that stands behind each of them."""
