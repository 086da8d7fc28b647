"""One module for each MongoDB collection: its documents and every change made to them."""
