"""The functions of a backend's namespace: their errors against mpmath, their gradients against finite differences.

``python -m bnspec_conformance.functions`` measures them all.
"""
