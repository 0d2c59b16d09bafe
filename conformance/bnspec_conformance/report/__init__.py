"""Reports: JSON first; the console table is drawn from it."""
