package diskread

import "time"

// Kind is this worker's name in the table of cmd/vetting-agent.
const Kind = "diskread"

// Target is a disk to read.
type Target struct {
	Name  string `json:"name"` // "sda"
	Path  string `json:"path"` // "/dev/sda"
	Bytes uint64 `json:"bytes"`
	Block int    `json:"block"` // bytes of a logical block
}

// Job is what a worker is to do until it is told to stop.
type Job struct {
	Targets []Target `json:"targets"`
	Seed    uint64   `json:"seed"` // of the zones' order
	// Fault is planted by tests of the tests: this byte of the disk's second reading
	// of its n-th zone is altered.
	Fault *Fault `json:"fault,omitempty"`
}

// Fault is a planted one.
type Fault struct {
	Name string `json:"name"`
	Zone int    `json:"zone"` // counted from 0
}

// The events of a worker, by their kind.
const (
	EventTally = "tally" // a Tally of each disk, every few seconds and at the end
	EventWrong = "wrong" // a Wrong
)

// Tally is how far a disk was read.
type Tally struct {
	Name     string        `json:"name"`
	Bytes    uint64        `json:"bytes"`    // read
	Compared uint64        `json:"compared"` // read twice, and alike
	Slowest  time.Duration `json:"slowest"`  // of all requests
	InUse    bool          `json:"in_use"`   // somebody has it open: not compared
}

// Wrong is something that a disk did.
type Wrong struct {
	Name   string `json:"name"`
	Offset uint64 `json:"offset"`          // bytes
	Length int    `json:"length"`          // of the request
	Error  string `json:"error,omitempty"` // the kernel's; empty: the data differed
	Steady bool   `json:"steady"`          // it differed, and a third reading agrees with one of the two
}
