package worker

import "time"

// Immortal returns a runner whose workers outlive being killed, as those do that
// wait inside the kernel for a device.
func (r Runner) Immortal() Runner {
	r.kill, r.grave = func(int) {}, 200*time.Millisecond

	return r
}

// Dying returns a runner that asks this whether a process is on its way out.
func (r Runner) Dying(is func(pid int) bool) Runner {
	r.dying = is

	return r
}

// Exiting reports whether a process is on its way out.
func Exiting(pid int) bool { return exiting(pid) }

// Allowances are how long a worker may take to end when it is told to, and to be gone
// when it was killed.
func Allowances(s Spec) (patience, grave time.Duration) {
	s.fill()

	return s.Patience, s.buried()
}

// Rest makes the lane one that has not moved for so long.
func (l *Lane) Rest(age time.Duration) { l.moved.Store(int64(l.clock() - age)) }
