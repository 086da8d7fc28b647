"""Who makes a request: credentials, and the principal behind each of them."""
