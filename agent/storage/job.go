package storage

import (
	"time"

	"vetting/agent/blockdev"
	"vetting/core"
)

// WorkerKind is this worker's name in the table of cmd/vetting-agent.
const WorkerKind = "storage"

// Disk is a disk to test.
type Disk struct {
	// ID tells the disk from all others of the job: its serial number, or its name where
	// that is missing or shared.
	ID     string `json:"id"`
	Name   string `json:"name"` // "sda"
	Serial string `json:"serial"`
	WWN    string `json:"wwn,omitempty"`
	Bytes  int64  `json:"bytes"`
	Block  int    `json:"block"` // bytes of a logical block
	Spins  bool   `json:"spins"`
	// Depth is how many requests are under way at a time.
	Depth int `json:"depth"`
	// Group is the controller; disks of one group share its link.
	Group string `json:"group"`
	// Write: it is armed. Whether it is written is for the gates to say.
	Write bool `json:"write"`
	// Override says that an operator lets the data on it go.
	Override bool `json:"override"`
	// Resume is how far a worker was that ended in the midst of the job.
	Resume *Tally `json:"resume,omitempty"`
}

// Job is what a worker is to do.
type Job struct {
	Disks []Disk         `json:"disks"`
	Plan  Plan           `json:"plan"`
	Seed  uint64         `json:"seed"` // of the run
	Most  map[string]int `json:"most"` // how many disks of a group work at a time; 0 or absent: all

	// What the gates ask for, see core/diskguard.
	Destructive bool                `json:"destructive"`
	Expected    []core.ExpectedDisk `json:"expected"`
	Protected   []string            `json:"protected,omitempty"`
	BlankOnly   bool                `json:"blank_only"` // data without a signature holds, too
	// Times are nanoseconds since the machine was started (CLOCK_BOOTTIME): that
	// clock cannot be set, and is the same for the worker and who started it.
	Lease         int64 `json:"lease"`
	OverrideUntil int64 `json:"override_until"`
}

// Order is what a worker is told while it works.
type Order struct {
	Lease int64 `json:"lease"` // as in Job
	// Kept is the Note of the latest tally that outlives the worker.
	Kept uint64 `json:"kept,omitempty"`
}

// Mark is how far the test of a disk is.
type Mark struct {
	Step     int     `json:"step"`
	Piece    int     `json:"piece"` // all before it are done
	Read     int64   `json:"read"`
	Written  int64   `json:"written"`
	Verified int64   `json:"verified"`
	Compared int64   `json:"compared"`
	Wrong    []Wrong `json:"wrong,omitempty"`
	Wrongs   int     `json:"wrongs,omitempty"`
	// Erasing is what the disk was told to do to erase itself; nil: nothing yet.
	Erasing *blockdev.Erasure `json:"erasing,omitempty"`
}

// EventTally is the kind of event that a worker tells: a Tally.
const EventTally = "tally"

// Tally is how the test of a disk stands, every few seconds and at its end.
type Tally struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Serial string `json:"serial"`
	WWN    string `json:"wwn,omitempty"`
	Wrote  bool   `json:"wrote"` // it is, or was, tested by writing
	Step   string `json:"step"`
	Done   int64  `json:"done"`  // bytes moved, of
	Total  int64  `json:"total"` // all that are to be moved
	Mark   Mark   `json:"mark"`
	Over   bool   `json:"over"` // the test has come to its end, good or bad
	InUse  bool   `json:"in_use"`
	// Note numbers the tallies of a worker that are to outlive it at once; 0: this one need
	// not.
	Note uint64 `json:"note,omitempty"`

	Reads   Histogram     `json:"reads"`
	Writes  Histogram     `json:"writes"`
	Random  Histogram     `json:"random"`
	Reading time.Duration `json:"reading"` // how long the disk was read, other than backwards, and written
	Writing time.Duration `json:"writing"`
	Bytes   struct {      // by this worker and those before it
		Read, Written int64
		Backwards     int64 // of those that were read
	} `json:"bytes"`

	// At the end alone.
	Curves  map[string][]Point `json:"curves,omitempty"` // by act
	Slow    map[string][]Point `json:"slow,omitempty"`
	Discard string             `json:"discard,omitempty"` // what came of it
	Refused []Reason           `json:"refused,omitempty"` // why it was not written
	Found   string             `json:"found,omitempty"`   // what was on it
}

// Reason is one of the guard.
type Reason struct {
	Code     string `json:"code"`
	Evidence string `json:"evidence"`
}
