"""Shows that hardware and reference agree: cocotb benches, simulator runs, gate-level runs."""
