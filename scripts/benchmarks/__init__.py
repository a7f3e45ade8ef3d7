"""Benchmarks: each row is measured beside a baseline in the same run, because machines and hours differ and ratios do not."""
