package core

import "time"

// Once names an order that its caller may send again without knowing what came of it: by
// an idempotency key.
type Once struct {
	Key   string // of TableOnce: a hash of whose order it is and the key that they chose
	Print string // hash of all that is asked for
}

// CarriedOut is what came of such an order. It is written with the order itself, and completed
// with the answer once there is one.
type CarriedOut struct {
	Print string    `json:"print"`
	Time  time.Time `json:"time"`
	Audit string    `json:"audit,omitempty"` // ID of the entry that the order left
	Host  MAC       `json:"host,omitempty"`
	Run   RunID     `json:"run,omitempty"`

	// Status, Kind (its media type) and Body are the answer. Status is 0 where it was not
	// written down: the appliance was stopped in between, or the answer holds a secret or
	// is too large.
	Status int    `json:"status,omitempty"`
	Kind   string `json:"kind,omitempty"`
	Body   []byte `json:"body,omitempty"`
}

// Begin has the entries that are written from now on say that they are of once.
func (o *Origin) Begin(once *Once) {
	o.mu.Lock()
	defer o.mu.Unlock()

	o.once = once
}

// End has them say so no longer.
func (o *Origin) End() { o.Begin(nil) }

func (o *Origin) under() *Once {
	o.mu.Lock()
	defer o.mu.Unlock()

	return o.once
}

// markDone writes down that an order was carried out, in the write that does it: whoever
// sends it again after a crash is not served twice.
func markDone(tx Txn, o *Origin, a *Audit) error {
	once := o.under()
	if once == nil || a.Result != OutcomeDone {
		return nil
	}

	return tx.Put(TableOnce, once.Key, CarriedOut{Print: once.Print, Time: a.Time, Audit: a.ID, Host: a.Host, Run: a.Run})
}
