"""The private mongod of a server that has no other database."""
