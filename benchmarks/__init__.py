"""The benchmarks behind README's numbers: everything compared runs side by side, in one run."""
