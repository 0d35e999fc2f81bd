package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"vetting/agent/wire"
	"vetting/core/diskguard"
)

const (
	sessionFile = "session.json"
	seqBlock    = 1024 // numbers reserved with one write of the file
)

// channel names a row of growing numbers.
type channel string

const (
	chanLog    channel = "log"
	chanSensor channel = "sensor"
	chanResult channel = "result"
)

// record is the session as it stands in its file.
type record struct {
	Run     string          `json:"run"`
	Server  string          `json:"server"`
	BootID  string          `json:"boot_id"`
	Claim   wire.ClaimReply `json:"claim"`             // with the session token
	At      wire.State      `json:"at"`                // where the run is, as far as known
	Tries   int             `json:"tries"`             // starts of the stage At that did not come to an end
	Pending *wire.Result    `json:"pending,omitempty"` // not acknowledged yet
	// Overrides are what the stage At may pass over. The appliance tells them until
	// it knows the stage under way, and no more.
	Overrides []string `json:"overrides,omitempty"`
	// OverrideUntil is when they count no more, by the appliance's word: an agent that is
	// started again has no more time than the one before it had.
	OverrideUntil time.Time `json:"override_until,omitzero"`
	// Checkpoint is how far the stage At said it was, to go on from there.
	Checkpoint []byte `json:"checkpoint,omitempty"`
	// Reserved holds, for each channel, the first number that was never given out.
	Reserved map[channel]uint64 `json:"reserved"`
}

// leave forgets what was about the stage At alone.
func (r *record) leave() {
	r.Pending, r.Tries, r.Checkpoint = nil, 0, nil
	r.override(nil, time.Time{})
}

// override takes in what the stage may pass over, and until when: no longer than an
// override lives, whatever clock the appliance has.
func (r *record) override(flags []string, until time.Time) {
	if latest := time.Now().Add(diskguard.OverrideLife); until.After(latest) {
		until = latest
	}

	r.Overrides, r.OverrideUntil = flags, until
}

// session is what a process must know to go on where the one before it ended.
// Safe for concurrent use. The file holds a token: mode 0600.
type session struct {
	path string

	mu   sync.Mutex
	rec  record             // guarded by mu
	next map[channel]uint64 // guarded by mu: the number to be given out now
}

// openSession returns the session of this boot and run, or nil when there is
// none yet. A file of another boot or run, or one that is broken, is none.
func openSession(c *Config) (*session, error) {
	s := newSession(c)

	raw, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil,nilerr // no session is not a fault
	}

	if err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}

	var rec record
	if err := json.Unmarshal(raw, &rec); err != nil {
		return nil, fmt.Errorf("reading the session: %w", err)
	}

	if rec.Run != c.Seed.Run || rec.Server != c.Seed.Server || rec.BootID != c.BootID || rec.Claim.Validate() != nil {
		return nil, nil //nolint:nilnil,nilerr // that of another boot is none
	}

	maps.Copy(s.rec.Reserved, rec.Reserved)
	maps.Copy(s.next, rec.Reserved)

	rec.Reserved = s.rec.Reserved
	s.rec = rec

	return s, nil
}

func newSession(c *Config) *session {
	return &session{
		path: filepath.Join(c.StateDir, sessionFile),
		rec:  record{Run: c.Seed.Run, Server: c.Seed.Server, BootID: c.BootID, Reserved: map[channel]uint64{}},
		next: map[channel]uint64{},
	}
}

// change alters the record and writes it.
func (s *session) change(alter func(*record)) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	alter(&s.rec)

	return s.save()
}

// look returns a copy of the record.
func (s *session) look() record {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.rec
}

func (s *session) token() string { return s.look().Claim.SessionToken }

// nextSeq gives out a number that no process of this boot gave out before. The
// error is that of the file; the number is good for this process all the same,
// since a full /run must not end a run.
func (s *session) nextSeq(c channel) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	var err error

	n := max(1, s.next[c])
	s.next[c] = n + 1

	if n >= s.rec.Reserved[c] {
		s.rec.Reserved[c] = n + seqBlock
		err = s.save()
	}

	return n, err
}

// save writes the file so that a crash leaves the old one or the new one. s.mu
// is held.
func (s *session) save() error {
	raw, err := json.Marshal(s.rec)
	if err != nil {
		return fmt.Errorf("writing the session: %w", err)
	}

	temp := s.path + ".new"
	if err := os.WriteFile(temp, raw, 0o600); err != nil {
		return fmt.Errorf("writing the session: %w", err)
	}

	if err := os.Rename(temp, s.path); err != nil {
		return fmt.Errorf("writing the session: %w", err)
	}

	return nil
}
