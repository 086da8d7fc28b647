"""The IETF's resumable uploads by HTTP: for the routes that speak them."""
