package drill

import (
	"time"
)

// Order is what a worker is to do for one slot.
type Order struct {
	ID     uint64        `json:"id"`
	Kernel string        `json:"kernel"`
	Seed   uint64        `json:"seed"` // the slot's fresh seeds follow from it
	For    time.Duration `json:"for"`
	// On and Off make bursts of work with sleep between, in step with all CPUs that do
	// the same; both 0: steady.
	On  time.Duration `json:"on,omitempty"`
	Off time.Duration `json:"off,omitempty"`
	// Repeat asks for one seed so often instead of a slot of time.
	Repeat *Repeat `json:"repeat,omitempty"`
}

// Repeat is a retest: the same block again, of which Want must come out. Without
// Want the answer is what is asked for.
type Repeat struct {
	Seed  uint64  `json:"seed"`
	Times int     `json:"times"`
	Want  *uint64 `json:"want,omitempty"`
	Known bool    `json:"known,omitempty"` // Want is a known answer
	// Plain asks for the plain variant, which needs the least of a CPU.
	Plain bool `json:"plain,omitempty"`
}

// Report is what came of an order.
type Report struct {
	ID      uint64        `json:"id"`
	CPU     int           `json:"cpu"`
	Kernel  string        `json:"kernel"`
	Variant string        `json:"variant"`
	Kind    string        `json:"kind,omitempty"` // of core, on hybrid packages
	Blocks  int           `json:"blocks"`
	Flops   float64       `json:"flops"`
	Work    time.Duration `json:"work"` // inside blocks
	Took    time.Duration `json:"took"` // altogether
	Busy    time.Duration `json:"busy"` // CPU time of the thread
	MHz     float64       `json:"mhz,omitempty"`
	// Instructions and Cycles are the CPU's own counters; 0 where they are not to
	// be had.
	Instructions uint64 `json:"instructions,omitempty"`
	Cycles       uint64 `json:"cycles,omitempty"`
	// Digests are those of the fresh seeds, or of a Repeat, in order.
	Digests []uint64 `json:"digests,omitempty"`
	// Wrong lists the first wrong blocks; Mistakes counts all.
	Wrong    []Wrong `json:"wrong,omitempty"`
	Mistakes int     `json:"mistakes,omitempty"`
	// Before are the wrong lanes of what came of the seed of a Repeat in the slot
	// before, and Differ counts all.
	Before []Lane `json:"before,omitempty"`
	Differ int    `json:"differ,omitempty"`
	Fault  string `json:"fault,omitempty"` // the order could not be carried out
	// Away says that the worker ran on another CPU than its own. What it did there is
	// in none of the other fields, and the order ended with it.
	Away *Away `json:"away,omitempty"`
}

// Away is a worker that was found on a CPU that is not its own: the kernel moves it
// there when its own is switched off.
type Away struct {
	On   int  `json:"on"`   // the CPU that it was found on
	Back bool `json:"back"` // its own took it back at once
}

// rate is the report's GFLOP/s; 0: none.
func (r *Report) rate() float64 {
	if r.Work <= 0 {
		return 0
	}

	return r.Flops / r.Work.Seconds() / 1e9
}

// ownRate is the same by the time for which the worker had its CPU; 0: none.
func (r *Report) ownRate() float64 {
	if r.Busy <= 0 {
		return 0
	}

	return r.Flops / r.Busy.Seconds() / 1e9
}

// Wrong is a block whose digest is not what it must be.
type Wrong struct {
	Seed uint64 `json:"seed"`
	Want uint64 `json:"want"`
	Got  uint64 `json:"got"`
	// Known says that Want is a known answer; else it is what the same CPU, or most
	// others, gave before.
	Known bool `json:"known,omitempty"`
	// Lanes are the first words that differ from what the CPU itself computes in
	// plain Go; Differ counts all. None: the plain variant gives the same.
	Lanes  []Lane  `json:"lanes,omitempty"`
	Differ int     `json:"differ,omitempty"`
	MHz    float64 `json:"mhz,omitempty"`
	// At is when, since the worker began.
	At time.Duration `json:"at"`
}

// Lane is a word of a block that came out wrong.
type Lane struct {
	Index int    `json:"index"`
	Xor   uint64 `json:"xor"`
}
