"""The JSON interface: each route reads the request, calls one function below and shapes the answer."""
