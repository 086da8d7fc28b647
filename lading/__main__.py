"""`python -m lading` is the `lading` command."""

from lading.cli import main

if __name__ == "__main__":
    main()
