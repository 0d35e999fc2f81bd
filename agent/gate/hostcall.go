package gate

import (
	"crypto/ed25519"
	"sync"
	"time"

	"vetting/agent/wire"
	"vetting/core"
)

const (
	clockWindow = 5 * time.Minute // a signature is good for, either way
	maxSigners  = 8192            // keys whose last call is remembered
)

// signed is a call as it came.
type signed struct {
	wire.Signature
	method, path string
	body         []byte
}

// present reports whether there is a signature at all, good or bad.
func (s *signed) present() bool { return s.Key != "" || s.Time != "" || s.Value != "" }

// verify returns when the call was signed with public's key.
func (s *signed) verify(public ed25519.PublicKey) (time.Time, error) {
	at, err := s.Verify(public, s.method, s.path, s.body)
	if err != nil {
		return at, unsigned("The signature does not fit the call.")
	}

	return at, nil
}

func unsigned(why string) error {
	return core.NewProblem(core.ErrUnauthorized, wire.CodeKeyRefused, why+" Installed hosts sign their calls with their own key.")
}

// inTime refuses a signature that is too old or not of today. The caller learns
// the time here, since only the clock can be wrong: the signature was good.
func inTime(at, now time.Time) error {
	if now.Sub(at).Abs() <= clockWindow {
		return nil
	}

	return outOfTime(now, "The call was signed at a time too far from the appliance's.")
}

func outOfTime(now time.Time, why string) error {
	return core.NewProblem(core.ErrUnauthorized, wire.CodeClock, why).
		With(wire.DetailServerTime, now.UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano))
}

// replay refuses a call that came before: the times of a key's calls must grow,
// and none is older than this process, which has forgotten the calls before.
// Safe for concurrent use.
type replay struct {
	start time.Time

	mu   sync.Mutex
	last map[string]time.Time // guarded by mu: by key, each no older than the window
}

func newReplay(start time.Time) *replay { return &replay{start: start, last: map[string]time.Time{}} }

// admit takes a call in whose signature was found good.
func (r *replay) admit(key string, at, now time.Time) error {
	if err := inTime(at, now); err != nil {
		return err
	}

	r.mu.Lock()
	defer r.mu.Unlock()

	last, seen := r.last[key]

	switch {
	case !at.After(r.start) || seen && !at.After(last):
		return outOfTime(now, "The call came before, or was signed earlier than one that did.")
	case !seen && len(r.last) >= maxSigners && !r.forget(now):
		return busyError{}
	}

	r.last[key] = at

	return nil
}

// forget drops the keys whose last call is out of the window, so that the window
// refuses it if it comes again, and reports whether there is room. r.mu is held.
func (r *replay) forget(now time.Time) bool {
	for key, at := range r.last {
		if now.Sub(at) > clockWindow {
			delete(r.last, key)
		}
	}

	return len(r.last) < maxSigners
}
