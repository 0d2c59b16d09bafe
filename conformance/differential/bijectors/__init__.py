"""Bijectors and distributions, ours beside TFP's: ``python -m differential.bijectors``.

Both sides are made from one description, asked the same questions, and judged against the exact answer, each by a bound
of its own.
"""
