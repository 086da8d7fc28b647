"""The only room that knows Starlette; `app.py` is its only wiring."""
