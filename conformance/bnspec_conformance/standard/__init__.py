"""The standard held against the namespaces: array-api-tests, unmodified, on the functions that we need.

``python -m bnspec_conformance.standard PATH`` runs it. Nothing is imported here, because the plugin of this package
is loaded inside the runs of array-api-tests.
"""
