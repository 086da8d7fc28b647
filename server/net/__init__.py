"""What sits below the application: uvicorn's two protocol classes, memory limits, slow clients."""
