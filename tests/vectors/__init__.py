"""Facts about the protocol that clients in every language are tested against."""
