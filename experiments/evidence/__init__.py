"""Evidence: a grid of training runs that compares ways to mix sizes with training at one size, at equal cost.

`settings` says what is learnt (data, network, base size, epochs), `arms` how (sizes, stages, smoothing). `budget`
counts the steps, `phases` and `training` are the parts of a run and `runs` is all of it. `grid` decides which run is
next and keeps the results, `summary` and `tables` make figures of what is finished. Its command line is evidence.py,
beside this folder.
"""
