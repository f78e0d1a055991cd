"""The rules of tools/tidy; run.py says which file each one sees."""
