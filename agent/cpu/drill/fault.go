package drill

import (
	"time"

	"golang.org/x/sys/unix"
)

// Fault is a wrong result, planted to prove that it is found. Nothing in the
// product plants one: tests put it into the Job on its way to the worker, by a
// Starter of their own.
type Fault struct {
	Kernel string        `json:"kernel,omitempty"` // in this kernel; empty: in any
	Block  int           `json:"block"`            // in this block of the worker's, counted from 1, or the next of the kernel
	Lane   int           `json:"lane"`             // of what came out
	Bit    int           `json:"bit"`
	Always bool          `json:"always,omitempty"` // in every block from then on
	Hang   time.Duration `json:"hang,omitempty"`   // stand still instead
	// Leave has the thread run anywhere but on its CPU instead, as when the kernel
	// switches that off; with Always it cannot come back.
	Leave bool `json:"leave,omitempty"`
}

// strike damages what came out, when its time has come. A nil fault never does.
func (f *Fault) strike(t *thread, kernel string, words []uint64) {
	if f == nil || t.blocks < f.Block || f.Kernel != "" && f.Kernel != kernel {
		return
	}

	if f.Hang > 0 {
		time.Sleep(f.Hang)

		return
	}

	if f.Leave {
		t.leave(f.Always)
		t.fault = nil

		return
	}

	words[f.Lane%len(words)] ^= 1 << f.Bit

	if !f.Always {
		t.fault = nil
	}
}

// leave lets the thread run on every CPU but its own, as the kernel does when that is
// switched off: then it cannot be pinned to it any more.
func (t *thread) leave(forever bool) {
	var others unix.CPUSet

	for n := range len(others) * 64 {
		if n != t.cpu {
			others.Set(n)
		}
	}

	_ = unix.SchedSetaffinity(0, &others) // on a machine of one CPU there is nowhere to go

	if forever {
		t.pin = func() error { return unix.EINVAL }
	}
}
