package power

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// State is whether a machine is on.
type State string

// The states. Unknown is no answer of State, which returns an error instead.
const (
	On      State = "on"
	Off     State = "off"
	Unknown State = ""
)

// Way switches one machine by one method. Every call ends within Tools.Timeout
// and returns a *Fault when it did not do what it says. Safe for concurrent use.
type Way interface {
	Method() Method
	// On switches the machine on; nothing happens when it is on already.
	On(ctx context.Context) error
	// Off takes the power away at once; the system on it is not asked.
	Off(ctx context.Context) error
	// Cycle makes the machine start anew, or start at all when it is off.
	Cycle(ctx context.Context) error
	// OneTimePXE makes the next start, and only that, one from the network, and
	// reads back that it will be.
	OneTimePXE(ctx context.Context) error
	// State asks whether the machine is on.
	State(ctx context.Context) (State, error)
}

// Tools is what the ways share.
type Tools struct {
	// Interface is the boot NIC, which magic packets leave by.
	Interface string
	// Timeout bounds every call; 0: 10 s.
	Timeout time.Duration
	// Now is the clock for the webhook's timestamp; nil: time.Now.
	Now func() time.Time
}

const defaultTimeout = 10 * time.Second

// New returns the way to a target, or what Validate finds wrong with it. It
// talks to nobody.
func New(target Target, tools Tools) (Way, error) {
	if err := target.Validate(); err != nil {
		return nil, fmt.Errorf("checking the power settings of %s: %w", target.Host, err)
	}

	if tools.Timeout <= 0 {
		tools.Timeout = defaultTimeout
	}

	if tools.Now == nil {
		tools.Now = time.Now
	}

	var far switcher

	switch target.Method {
	case WoL:
		far = magic{target: &target, nic: tools.Interface}
	case IPMI:
		far = ipmi{target: &target}
	case Redfish:
		far = redfish{target: &target}
	case Webhook:
		far = webhook{target: &target, now: tools.Now, id: rand.Text}
	default:
		far = manual{}
	}

	return bounded{target: &target, far: far, timeout: tools.Timeout}, nil
}

// switcher carries out what Way promises, without its bounds.
type switcher interface {
	on(ctx context.Context) error
	off(ctx context.Context) error
	cycle(ctx context.Context) error
	pxe(ctx context.Context) error
	state(ctx context.Context) (State, error)
}

// bounded is a Way: it gives every call its time, and its error a shape.
type bounded struct {
	target  *Target
	far     switcher
	timeout time.Duration
}

func (b bounded) Method() Method { return b.target.Method }

func (b bounded) On(ctx context.Context) error { return b.do(ctx, "switching on", b.far.on) }

func (b bounded) Off(ctx context.Context) error { return b.do(ctx, "switching off", b.far.off) }

func (b bounded) Cycle(ctx context.Context) error { return b.do(ctx, "restarting", b.far.cycle) }

func (b bounded) OneTimePXE(ctx context.Context) error {
	return b.do(ctx, "setting the next start to the network", b.far.pxe)
}

func (b bounded) State(ctx context.Context) (state State, err error) {
	err = b.do(ctx, "reading the power state", func(ctx context.Context) (err error) {
		state, err = b.far.state(ctx)

		return err
	})

	return state, err
}

// do bounds a call.
func (b bounded) do(ctx context.Context, doing string, act func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()

	err := guarded(func() error { return act(ctx) })
	if err != nil && ctx.Err() != nil && classify(err) == Failed {
		err = ctx.Err() // libraries do not always say that it was the time
	}

	return explain(b.target, doing, err)
}

// guarded turns a panic into an error: foreign bytes break libraries.
func guarded(act func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = outcome(Failed, fmt.Sprintf("its answer makes no sense: %v", r))
		}
	}()

	return act()
}
