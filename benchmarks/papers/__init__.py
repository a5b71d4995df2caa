"""The papers' tables, made again by this program: ``python -m benchmarks.papers``."""
