"""The only room that knows MongoDB, a file system or S3."""
