package memory

import "time"

// Kind is this worker's name in the table of cmd/vetting-agent.
const Kind = "memory"

// job is what a worker is to do: the memory of one node.
type job struct {
	Node        int           `json:"node"`
	Bind        bool          `json:"bind"` // there are several nodes: take memory of this one only
	CPUs        []int         `json:"cpus"`
	Remote      []int         `json:"remote"`
	Limit       uint64        `json:"limit"`        // bytes to take at most; 0: as many as there are
	Reserve     uint64        `json:"reserve"`      // bytes that stay available on the machine
	NodeReserve uint64        `json:"node_reserve"` // and on the node
	RAM         []Range       `json:"ram"`          // physical addresses of memory; empty: not known
	Cache       int           `json:"cache"`        // bytes that one thread may find in a cache
	Patterns    Patterns      `json:"patterns"`
	Passes      int           `json:"passes"`
	Duration    time.Duration `json:"duration"` // go on at least as long
	Retention   time.Duration `json:"retention"`
	Stream      bool          `json:"stream"` // measure the bandwidth
	SaveEvery   time.Duration `json:"save_every"`
	Seed        uint64        `json:"seed"`
	Done        Position      `json:"done"` // by a worker before
}

// The events of a worker, by their kind.
const (
	eventTaken  = "taken"
	eventStream = "stream"
	eventFault  = "fault"
	eventStep   = "step"
	eventTally  = "tally"
	eventLeft   = "left"
)

// Left is a thread that was found on another CPU than it was tied to: the kernel moves
// it when that is switched off.
type Left struct {
	CPU int `json:"cpu"` // it was tied to
	On  int `json:"on"`
}

// Taken tells what memory a worker has.
type Taken struct {
	Bytes    uint64 `json:"bytes"`
	Huge     uint64 `json:"huge"`     // of them in pages of 2 MiB or more
	Unlocked uint64 `json:"unlocked"` // of them not locked
	LockErr  string `json:"lock_err,omitempty"`
	// Short says why there is not more, where it was not the reserve or the limit.
	Short string `json:"short,omitempty"`
}

// Stream tells the bandwidth of a node in bytes a second, as STREAM counts: the
// best of several rounds.
type Stream struct {
	Copy  float64 `json:"copy"`
	Triad float64 `json:"triad"`
}

// Tally is what a worker did.
type Tally struct {
	Position

	Verified uint64        `json:"verified"` // bytes compared
	Written  uint64        `json:"written"`
	Busy     time.Duration `json:"busy"`   // of the threads together, at work
	Faults   uint64        `json:"faults"` // words that were wrong, each time
	Bits     uint64        `json:"bits"`   // that flipped in any of them
	Pages    Pages         `json:"pages"`
	Released uint64        `json:"released"` // bytes given back since the machine needed them
	GaveUp   bool          `json:"gave_up"`  // so many words were wrong that more would tell nothing
}

// Pages counts what was tested by physical page, in bytes.
type Pages struct {
	Known  bool   `json:"known"`  // false: the kernel does not tell physical addresses
	Tested uint64 `json:"tested"` // in memory of the machine, from the first step to the last
	Moved  uint64 `json:"moved"`  // the kernel moved them meanwhile
	Other  uint64 `json:"other"`  // not in memory that the firmware told of
}
