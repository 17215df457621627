"""Jobs on a Ray cluster: the same rows as on one machine, made by as many engines as there are CPUs for."""
