"""Released libraries beside the definition, on random configurations of their documented domains.

``python -m differential`` runs it; ``nox -s differential`` makes its environment first. It is not shipped. Both sides
are judged by the exact oracle: the definition by its own bound, the original by that of the algorithm it uses.
"""
