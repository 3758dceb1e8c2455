"""Programs in an external memory: their image, and the reader that streams it over AXI4."""
