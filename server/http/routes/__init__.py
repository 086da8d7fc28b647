"""The routes: each handler reads a request, calls the domain, and returns the answer."""
