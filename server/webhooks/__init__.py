"""Webhooks: events become deliveries, and these are sent until their receivers took them.

`announce.py` turns what manifests note into deliveries, `deliver.py` sends them in order,
`send.py` makes one request, `addresses.py` says which addresses it may go to, and `manage.py` is
what an admin does. Nothing in it imports Starlette. Source: page 12 of the design;
`docs/decisions/0057`.
"""
