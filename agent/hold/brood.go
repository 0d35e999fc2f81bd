package hold

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// markName is the variable that tells whose child a process is.
const markName = "VETTING_HOLD"

// brood knows the processes of a hold. Those of a session are its leader's
// process group; what was moved out of that or left running when the client
// went is found by a mark that children inherit, since a number of a process
// that is gone may be another's by now.
type brood struct {
	secret string

	mu     sync.Mutex
	leader map[int]bool // guarded by mu: started and not reaped, so that the number is still theirs
	over   bool         // guarded by mu: nothing may run any more
}

func newBrood(secret string) *brood { return &brood{secret: secret, leader: map[int]bool{}} }

// mark is what the environment of every child must hold.
func (b *brood) mark() string { return markName + "=" + b.secret }

func (b *brood) add(pid int) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.leader[pid] = true

	if b.over {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // it may end just now
	}
}

func (b *brood) reaped(pid int) {
	b.mu.Lock()
	defer b.mu.Unlock()

	delete(b.leader, pid)
}

// hangUp tells a session's processes that the client is gone, as a terminal
// would, and kills the leader if that does not end it.
func (b *brood) hangUp(pid int) {
	if !b.signal(pid, syscall.SIGHUP) {
		return
	}

	time.AfterFunc(drain, func() { b.signal(pid, syscall.SIGKILL) })
}

// signal signals a session's process group and reports whether its leader is
// still there.
func (b *brood) signal(pid int, signal syscall.Signal) bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.leader[pid] {
		_ = syscall.Kill(-pid, signal) // it may end just now
	}

	return b.leader[pid]
}

// end kills everything that was ever started in a session, and returns what is
// still there after patience.
func (b *brood) end(patience time.Duration) (left []int) {
	pause := 5 * time.Millisecond

	for deadline := time.Now().Add(patience); ; pause = min(2*pause, patience/10) {
		left = b.killLeaders()
		marked, unsure := b.marked("/proc")

		for _, pid := range marked {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may end just now

			if !slices.Contains(left, pid) {
				left = append(left, pid)
			}
		}

		if len(left) == 0 && !unsure || time.Now().After(deadline) {
			return left
		}

		time.Sleep(pause) // the kernel tells nobody but a parent
	}
}

// killLeaders kills the process groups of sessions, now and from now on, and
// returns those that are not reaped yet.
func (b *brood) killLeaders() (left []int) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.over = true

	for pid := range b.leader {
		_ = syscall.Kill(-pid, syscall.SIGKILL) // it may end just now

		left = append(left, pid)
	}

	return left
}

// marked lists the processes that carry the mark. Of one that is just becoming
// another program, or dying, nobody can tell, and unsure is set.
func (b *brood) marked(proc string) (pids []int, unsure bool) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, false
	}

	want := []byte(b.mark())

	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}

		env, err := os.ReadFile(filepath.Join(proc, entry.Name(), "environ"))
		if errors.Is(err, syscall.ESRCH) || err == nil && len(env) == 0 {
			stat, err := os.ReadFile(filepath.Join(proc, entry.Name(), "stat"))
			unsure = unsure || err == nil && between(string(stat))
		}

		if err != nil {
			continue // gone, or another user's
		}

		for variable := range bytes.SplitSeq(env, []byte{0}) {
			if bytes.Equal(variable, want) {
				pids = append(pids, pid)

				break
			}
		}
	}

	return pids, unsure
}

// between reports whether a process without an environment is in the midst of
// execve(2), or of its end: it runs, and has no memory or a new one that its
// environment is not in yet. Where there is one by now, it was so a moment ago.
func between(stat string) bool {
	const (
		state, flags, envStart, envEnd = 3, 9, 50, 51 // fields of proc_pid_stat(5), counted from 1
		kernelThread                   = 0x00200000
	)

	after := strings.LastIndex(stat, ") ") // the name before it may hold anything
	if after < 0 {
		return false
	}

	fields := strings.Fields(stat[after+2:]) // from the third on
	if len(fields) <= envEnd-state || slices.Contains([]string{"Z", "X", "x"}, fields[0]) {
		return false
	}

	is, err := strconv.ParseUint(fields[flags-state], 10, 32)
	start, end := fields[envStart-state], fields[envEnd-state]

	return err == nil && is&kernelThread == 0 && (end == "0" || start != end)
}
