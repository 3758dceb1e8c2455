"""The paper's tables and figures, regenerated: one function each, named in `EXPERIMENTS`."""
