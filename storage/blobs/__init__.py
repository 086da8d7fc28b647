"""Where the bytes of pieces are kept: one module for each driver, one interface for all."""
