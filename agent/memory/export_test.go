package memory

import (
	"context"
	"io/fs"

	"golang.org/x/sys/unix"

	"vetting/agent/worker"
)

// WorkAt is Work with another look at how much memory is free.
func WorkAt(ctx context.Context, c *worker.Child, root fs.FS) error { return workAt(ctx, c, root) }

// Cell is a word that Examine looks at.
type Cell = cell

// Examine looks closely at a word that was wrong.
func Examine(c Cell, f *Fault) { examine(c, f) }

// Plan returns the names of the steps of a pass, on a machine with two nodes.
func Plan(kind Patterns) (names []string) {
	for _, s := range plan(&job{Patterns: kind, Remote: []int{1}, Retention: 60e9}, 0, false) {
		names = append(names, s.name())
	}

	return names
}

// StepThatIsMoved does a step whose thread the kernel moves off its CPU, as it does when
// that is switched off, and returns what is told of it.
func StepThatIsMoved(cpu int) (left []Left, err error) {
	s, done := &shared{left: func(l Left) { left = append(left, l) }}, make(chan struct{})

	go func() {
		defer close(done)

		err = s.tied(cpu, func() error {
			var others unix.CPUSet

			for n := range len(others) * 64 {
				if n != cpu {
					others.Set(n)
				}
			}

			return unix.SchedSetaffinity(0, &others)
		})
	}()

	<-done

	return left, err
}

// Asked tells how much memory the first node's worker is told to take at most, 0: no
// limit, and how much it may come to hold.
func Asked(t Test) (limit, holds uint64, err error) {
	nodes, ram, report, err := t.look()
	if err != nil {
		return 0, 0, err
	}

	return t.job(nodes[0], nodes, ram, report).Limit, t.share(nodes[0], nodes, report), nil
}

// CacheShare is what one of n threads may find in the cache.
func CacheShare(root fs.FS, cpu, n int) int { return cacheShare(root, cpu, n) }

// Sampled is every how many tiles one is read back at once.
const Sampled = sampled

// Available is what a machine can still hand out.
func Available(root fs.FS) (uint64, error) { return available(root) }

// RemoteStepOn does a step on the CPU of another node, and returns why it was not done.
func RemoteStepOn(ctx context.Context, cpu int) error {
	j := &job{CPUs: []int{0}, Remote: []int{cpu}}
	w := &crew{job: j, shared: &shared{job: j}, lanes: []*lane{{}}}
	w.do(ctx, &step{remote: true})

	return w.broken
}
