package initd

import (
	"context"
	"syscall"
)

// Death is a process that ended.
type Death = death

// NewDeath is the end of a process.
func NewDeath(pid int, status syscall.WaitStatus) Death { return death{pid: pid, status: status} }

// Watch supervises a child whose death others tell of.
func (s *Supervisor) Watch(ctx context.Context, deaths <-chan Death) error {
	return s.watch(ctx, deaths, make(chan struct{}, 1))
}

// Consoles lists the consoles of a machine.
var Consoles = consoles
