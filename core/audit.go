package core

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Audit is one thing an operator did.
type Audit struct {
	ID     string    `json:"id"` // its key: grows with every entry
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	Action string    `json:"action"` // "host.delete": object kind and verb
	Object string    `json:"object"` // "host/52:54:00:12:34:56"
	Host   MAC       `json:"host,omitempty"`
	Run    RunID     `json:"run,omitempty"`
	Text   string    `json:"text"`             // a sentence without its subject: "deleted rack1-u04"
	Before string    `json:"before,omitempty"` // Digest of the object before; empty: there was none
	After  string    `json:"after,omitempty"`  // Digest of it after; empty: it is gone
	From   string    `json:"from,omitempty"`   // address of whoever asked; empty: the appliance itself, or somebody at its terminal
	Result Outcome   `json:"result,omitempty"` // what came of it; absent in entries of earlier versions, which were all done
}

// Outcome is what came of something that somebody wanted.
type Outcome string

// The outcomes.
const (
	OutcomeDone    Outcome = "done"    // written in the same write
	OutcomeRefused Outcome = "refused" // nothing was changed
	OutcomeFailed  Outcome = "failed"  // the appliance broke; its log says what
)

// Digest is the SHA-256 of what a record is encoded as, in hex.
func Digest(record any) string {
	encoded, err := json.Marshal(record)
	if err != nil {
		return ""
	}

	sum := sha256.Sum256(encoded)

	return hex.EncodeToString(sum[:])
}

// WriteAudit appends an entry to the audit trail, as a part of the write that
// does what it tells. ID is given here: it grows even when the clock goes back. So are
// From, by the origin of the write, and Result where it is empty.
func WriteAudit(tx Txn, a Audit) error {
	last := ""

	err := tx.Scan(TableAudit, Query{Reverse: true, Limit: 1}, func(key string, _ func(any) error) error {
		last = key

		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the last audit entry: %w", err)
	}

	a.ID = auditKey(a.Time, last)

	if a.Result == "" {
		a.Result = OutcomeDone
	}

	if known, ok := tx.(sourced); ok {
		if o := known.Origin(); o != nil {
			a.From = o.From
			o.wrote(a.ID)

			if err := markDone(tx, o, &a); err != nil {
				return err
			}
		}
	}

	return tx.Put(TableAudit, a.ID, a)
}

// auditKey returns the key of an entry made at a time, past the last one:
// milliseconds and a number, both zero-padded.
func auditKey(at time.Time, last string) string {
	key := fmt.Sprintf("%015d-%09d", max(0, at.UnixMilli()), 0)
	if key > last {
		return key
	}

	stamp, number, _ := strings.Cut(last, "-")
	n, _ := strconv.Atoi(number) //nolint:errcheck // only WriteAudit writes keys, and it writes numbers

	return fmt.Sprintf("%s-%09d", stamp, n+1)
}

// Delivery is what came of one notification to one target.
type Delivery struct {
	Event    uint64        `json:"event"` // Seq of the notice it is about; 0: a test
	Topic    Topic         `json:"topic,omitempty"`
	Severity Severity      `json:"severity"`
	Target   string        `json:"target"` // its name in the configuration
	Kind     string        `json:"kind"`   // "ntfy", "discord", "smtp", "webhook", …
	Host     MAC           `json:"host,omitempty"`
	Run      RunID         `json:"run,omitempty"`
	Text     string        `json:"text"`
	Time     time.Time     `json:"time"` // of the last attempt's end
	Took     time.Duration `json:"took"`
	Attempts int           `json:"attempts"`
	OK       bool          `json:"ok"`
	Code     string        `json:"code,omitempty"`   // problem code when it did not arrive
	Detail   string        `json:"detail,omitempty"` // what the target said, cut short
}

// DeliveryKey is where the outcome stands: scanning backwards gives the newest
// notices first.
func DeliveryKey(event uint64, target string) string { return fmt.Sprintf("%020d/%s", event, target) }
