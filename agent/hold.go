package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"vetting/agent/wire"
)

// Door is the SSH server of a held machine. It is listening already, and open to
// nobody until Admit. agent/hold has it.
type Door interface {
	// HostKey is its public key: "ssh-ed25519 AAAA…".
	HostKey() string
	// Admit names the keys that may come in, lines of authorized_keys.
	Admit(keys []string) error
	// Run answers until ctx ends; then nothing that came in through the door runs
	// any more. It is called once.
	Run(ctx context.Context) error
}

// errHoldOver says that the hold's time is past.
var errHoldOver = errors.New("the hold's time is over")

// Hold makes the call of that name; token is the session token.
func (c *Client) Hold(ctx context.Context, token string, in wire.Hold) (wire.HoldReply, error) {
	return send(ctx, c, wire.CallHold(), token, in)
}

// porch is a door that is kept open as long as the machine is held.
type porch struct {
	shut context.CancelFunc
	done chan struct{}
}

// holds reports whether an order holds the machine for the operator.
func holds(o wire.Order) bool {
	return o.Cmd == wire.CmdAbort && o.State == wire.StateFailedHolding
}

// welcome opens the door of a held machine, and shuts it before anything else is
// done: whoever is inside must not meet a test.
func (c *conductor) welcome(ctx context.Context, o wire.Order) {
	held := holds(o)

	switch {
	case held && c.porch == nil && c.OpenDoor != nil:
		ctx, shut := context.WithCancel(ctx)
		c.porch = &porch{shut: shut, done: make(chan struct{})}

		go c.keepOpen(ctx, c.porch.done)
	case !held && c.porch != nil:
		c.porch.shut()
		<-c.porch.done // what holds it up is bounded, see Door
		c.porch = nil
	}
}

// keepOpen opens a door, and another one when it breaks, until ctx ends. The
// appliance is told of each: its host key is another.
func (a *agent) keepOpen(ctx context.Context, done chan<- struct{}) {
	defer close(done)

	for {
		err := a.openOnce(ctx)

		switch {
		case errors.Is(err, errHoldOver):
			a.say.Info("the hold's time is over, nobody comes in any more")
		case err != nil && ctx.Err() == nil:
			a.say.Error("the hold is shut", slog.String("error", err.Error()))
		case err != nil && !errors.Is(err, context.Canceled):
			a.say.Error("the hold does not end well", slog.String("error", err.Error()))
		}

		if pause(ctx, jitter(slowWait)) != nil {
			return
		}
	}
}

func (a *agent) openOnce(ctx context.Context) error {
	door, err := a.OpenDoor(ctx, a.say)
	if err != nil {
		return fmt.Errorf("opening the hold: %w", err)
	}

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return door.Run(ctx) })
	group.Go(func() error { return a.invite(ctx, door) })

	return group.Wait()
}

// invite tells the appliance of the door and the door whom to let in. It returns
// when the hold's time is over, or ctx ends.
func (a *agent) invite(ctx context.Context, door Door) error {
	var reply wire.HoldReply

	err := insist(ctx, a.say, "hold", func(ctx context.Context) (err error) {
		reply, err = a.client.Hold(ctx, a.session.token(), wire.Hold{IP: a.IP, SSHHostKey: door.HostKey()})

		return err
	})
	if err != nil {
		return err
	}

	if err := door.Admit(reply.AuthorizedKeys); err != nil {
		return err
	}

	a.say.Info("this machine is held for the operator", slog.String("ssh", "root@"+a.IP),
		slog.String("host_key", door.HostKey()), slog.Time("until", reply.Until.Time))

	return a.keepAdmitting(ctx, door, reply)
}

// askKeys is how often the appliance is asked which keys count: an operator may have had
// a new one made.
const askKeys = 30 * time.Second

// keepAdmitting lets in whom the appliance names from time to time. While it is away, or
// names nobody, those named last count; and the hold never ends later than was said first.
// It returns when the hold's time is over, or ctx ends.
func (a *agent) keepAdmitting(ctx context.Context, door Door, known wire.HoldReply) error {
	for {
		wait := askKeys
		if until := known.Until.Time; !until.IsZero() {
			wait = min(wait, time.Until(until))
		}

		if err := pause(ctx, wait); err != nil {
			return err
		}

		if until := known.Until.Time; !until.IsZero() && !time.Now().Before(until) {
			return errHoldOver
		}

		reply, err := a.askAgain(ctx, door, known)
		if err != nil || len(reply.AuthorizedKeys) == 0 {
			continue // what ends a hold is said with the heartbeat
		}

		if !slices.Equal(reply.AuthorizedKeys, known.AuthorizedKeys) {
			if err := door.Admit(reply.AuthorizedKeys); err != nil {
				a.say.Warn("the keys that the appliance names cannot be read; those before count", slog.Any("error", err))

				continue
			}

			a.say.Info("another key opens this machine now")
		}

		if until := known.Until.Time; !until.IsZero() && (reply.Until.IsZero() || until.Before(reply.Until.Time)) {
			reply.Until = known.Until
		}

		known = reply
	}
}

// askAgain asks once which keys count; an appliance that does not answer delays neither the
// next question nor the end of the hold.
func (a *agent) askAgain(ctx context.Context, door Door, known wire.HoldReply) (wire.HoldReply, error) {
	ends := time.Now().Add(askKeys)
	if until := known.Until.Time; !until.IsZero() && until.Before(ends) {
		ends = until
	}

	ctx, cancel := context.WithDeadline(ctx, ends)
	defer cancel()

	return a.client.Hold(ctx, a.session.token(), wire.Hold{IP: a.IP, SSHHostKey: door.HostKey()})
}
