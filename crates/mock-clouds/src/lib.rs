//! Clouds of their own for tests and benchmarks.
