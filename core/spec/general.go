package spec

import "vetting/core"

// general makes the checks that hold for every host, with or without a spec:
// what is off, slow, mixed, doubled or foreign.
func (r *Result) general(want *Spec, got *core.Inventory) {
	r.cpuGeneral(got)
	r.memoryGeneral(got)
	r.diskGeneral(want, got)
	r.platformGeneral(want, got)
}
