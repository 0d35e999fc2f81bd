package janitor

// Small makes a janitor take samples, rollups and keys a few at a time.
func (j *Janitor) Small(samples, rollups, keys int) { j.bounds = bounds{samples, rollups, keys} }
