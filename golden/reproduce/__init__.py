"""The paper's tables and figures, regenerated: see `paper` for what it says, `experiments` for
the function behind each name."""
