"""The pure core: values, grammar and state machines of Lading.

Nothing here awaits, reads a clock, draws a random number or touches a driver; time and
randomness are inputs. Everything can be tested without sockets.
"""
