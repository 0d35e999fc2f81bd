package core

import (
	"context"
	"sync"
)

// Origin is where an order comes from. It travels with the context of the call and is
// written into every audit entry that the call leaves. Safe for concurrent use.
type Origin struct {
	From string // address of whoever asks, "192.0.2.7"; empty: the appliance itself or somebody at its terminal

	mu   sync.Mutex
	last string
	once *Once // nil: the order may be carried out as often as it is sent
}

type originKey struct{}

// WithOrigin returns a context whose writes say that they come from o.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf is the one that ctx carries; nil: none.
func OriginOf(ctx context.Context) *Origin {
	o, _ := ctx.Value(originKey{}).(*Origin) //nolint:errcheck // nil is none

	return o
}

// Last is the ID of the last audit entry that was written by calls with this origin;
// empty: none was. An entry of a write that failed afterwards is not there.
func (o *Origin) Last() string {
	if o == nil {
		return ""
	}

	o.mu.Lock()
	defer o.mu.Unlock()

	return o.last
}

func (o *Origin) wrote(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()

	o.last = id
}

// sourced is a Txn that knows the origin of its write.
type sourced interface{ Origin() *Origin }
