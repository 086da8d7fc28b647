"""The processes of a server: one alone, or a supervisor with its workers."""
