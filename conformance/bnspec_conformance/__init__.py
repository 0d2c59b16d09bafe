"""The conformance suite of bnspec: the law book, the oracle, and what holds an implementation to them.

Nothing is imported here, because pytest loads the plugin of this package in every run of its environment.
"""
