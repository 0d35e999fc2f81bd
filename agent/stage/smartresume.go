package stage

import (
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"vetting/agent/disk"
)

// begunTests notes which self-tests were started, so that an agent that is restarted in
// the midst of hours of them follows those that go on, in place of starting them anew.
// Safe for concurrent use.
type begunTests struct {
	env Env

	mu   sync.Mutex // guards the rest
	now  map[string]begunTest
	then map[string]begunTest // of the process before
}

// begunTest is one of them.
type begunTest struct {
	Length disk.Length `json:"length"`
	Began  time.Time   `json:"began"`
}

// newBegunTests takes over what the process before has kept; what cannot be read is
// nothing.
func newBegunTests(env Env) *begunTests {
	b := &begunTests{env: env, now: map[string]begunTest{}, then: map[string]begunTest{}}

	if env.Resume != nil {
		if err := json.Unmarshal(env.Resume, &b.then); err != nil {
			env.Log.Warn("what was kept of self-tests cannot be read", slog.String("error", err.Error()))

			b.then = map[string]begunTest{}
		}
	}

	return b
}

// begin notes that the self-test of a disk was started.
func (b *begunTests) begin(key string, length disk.Length, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.now[key] = begunTest{length, at}

	if state, err := json.Marshal(b.now); err == nil && len(state) <= MaxCheckpoint {
		b.env.Checkpoint(state)
	}
}

// before returns, once for each disk, when the process before started such a self-test.
func (b *begunTests) before(key string, length disk.Length) (began time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()

	t, ok := b.then[key]
	delete(b.then, key)

	// The clock may have been set meanwhile.
	if age := time.Since(t.Began); ok && (age < 0 || age > 14*24*time.Hour) {
		t.Began = time.Now()
	}

	return t.Began, ok && t.Length == length
}
