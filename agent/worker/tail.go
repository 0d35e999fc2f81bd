package worker

import "sync"

// tailLimit is how much of what a worker prints is kept: the head of Go's report
// on a crash names the signal, and the end the goroutine.
const tailLimit = 16 << 10

// tail keeps the beginning and the end of what is written to it. Safe for
// concurrent use.
type tail struct {
	mu      sync.Mutex
	head    []byte // guarded by mu
	last    []byte // guarded by mu
	skipped bool   // guarded by mu: something between the two is gone
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()

	n := len(p)

	if room := tailLimit/2 - len(t.head); room > 0 {
		taken := min(room, len(p))
		t.head, p = append(t.head, p[:taken]...), p[taken:]
	}

	t.last = append(t.last, p...)
	if over := len(t.last) - tailLimit/2; over > 0 {
		t.last, t.skipped = append(t.last[:0], t.last[over:]...), true
	}

	return n, nil
}

// String returns what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()

	gap := ""
	if t.skipped {
		gap = "\n[…]\n"
	}

	return string(t.head) + gap + string(t.last)
}
