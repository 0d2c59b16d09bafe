"""Bijectors, flows and densities: the catalogue of what is tried, and what each must give."""
