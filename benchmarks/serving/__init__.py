"""A server under load: open-loop arrivals, a soak, faults, beside servers as they are written in an afternoon."""
