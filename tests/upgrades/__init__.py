"""Data directories that earlier versions wrote, and the program that makes them."""
