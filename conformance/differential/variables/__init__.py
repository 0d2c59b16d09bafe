"""The arguments that decide about variables alone, ours beside the originals': ``python -m differential.variables``.

Both are judged against the exact value, like everything here: initializers by the value or the distribution that they
name, regularizers by the penalty, constraints by the projection, names by the name.
"""
