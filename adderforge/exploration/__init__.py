"""Design-space exploration: which accelerators there are for a network, what each costs, and which
of them nothing beats.

`space` says which designs there are, `workloads` what they run, `objectives` what counts. `levels`
measures a design, from cycles (microseconds) to accuracy (minutes); `cost_model` guesses what has
not been measured, with its error; `store` keeps what was. `explore` climbs the `ladder`: everything
at the lowest level, what can still win at the next. `search` proposes designs where there are too
many. `suggest` asks for a board and a rate.
"""
