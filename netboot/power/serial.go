package power

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/transport"
	"github.com/bougou/go-ipmi/pkg/types"

	"vetting/core"
	"vetting/core/problem"
)

// Bounds of a serial console (serial over LAN, IPMI 2.0 §15).
const (
	serialPatience = 20 * time.Second // until it is open
	serialGoodbye  = 3 * time.Second  // for giving the port back
	// serialPoll is how often the controller is asked for what the machine printed. It keeps the
	// session, which a controller drops after a minute without a packet (§6.12.15).
	serialPoll = 60 * time.Millisecond
	// serialAhead is how much may have been typed that the machine has not taken yet.
	serialAhead = 64 << 10

	serialInstance = 1   // controllers have one serial port
	mostHitches    = 100 // in a row, each soon after the one before
	soonAfter      = 10 * time.Second
)

// serial is the serial console of a machine, open: an io.ReadWriteCloser.
type serial struct {
	keys *keys
	out  *io.PipeReader // what the machine prints
	in   *io.PipeWriter // the other end of out
	done chan struct{}  // closed when the port was given back
	stop context.CancelFunc
}

// Read returns what the machine prints; its error is io.EOF or a *core.Problem.
func (s *serial) Read(p []byte) (int, error) { return s.out.Read(p) } //nolint:wrapcheck // the error is the line's own

// Write types, and does not wait for the machine.
func (s *serial) Write(p []byte) (int, error) { return s.keys.Write(p) }

// Close gives the port back to the controller, and waits for that.
func (s *serial) Close() error {
	s.keys.close()
	_ = s.out.Close() // what is being printed waits for nobody any more

	late := time.AfterFunc(serialGoodbye, s.stop)
	defer late.Stop()

	<-s.done

	return nil
}

// Serial opens the serial console of a machine by IPMI (engine.Serial). A session that somebody
// else has there is ended only with takeOver.
func (s Switch) Serial(ctx context.Context, order core.PowerOrder, takeOver bool) (io.ReadWriteCloser, core.PowerAttempt) {
	target := TargetOf(order)
	if err := target.Validate(); err != nil || target.Method != IPMI {
		return nil, core.PowerAttempt{Way: order.Way, Action: "serial", Code: Unsupported.Code(), Detail: "only IPMI has serial consoles"}
	}

	var line *serial

	far := ipmi{target: &target}
	near := bounded{target: &target, far: far, timeout: serialPatience}
	one := try(ctx, near, "serial", func(ctx context.Context) error {
		return near.do(ctx, "opening the serial console", func(ctx context.Context) (err error) {
			line, err = far.serial(ctx, takeOver)

			return err
		})
	})

	told := answer([]Attempt{one}, Unknown)
	if !told.Worked() {
		return nil, told.Attempts[0]
	}

	return line, told.Attempts[0]
}

// serial opens a session for the console alone, which outlives ctx, and returns once the machine
// can be heard.
func (i ipmi) serial(ctx context.Context, takeOver bool) (*serial, error) {
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	out, in := io.Pipe()
	line := &serial{keys: newKeys(), out: out, in: in, done: make(chan struct{}), stop: stop}
	opened := make(chan error, 2) // that it is open, and what came of it in the end

	go func() {
		defer stop()
		defer close(line.done)

		opened <- guarded(func() error {
			return i.session(life, func(c *client.Client) error {
				if err := activate(life, c, takeOver); err != nil {
					return err
				}

				opened <- nil
				line.carry(life, c)

				return nil
			})
		})
	}()

	select {
	case err := <-opened:
		return line, err
	case <-ctx.Done():
		stop()
		<-line.done

		return nil, ctx.Err()
	}
}

// activate asks for the serial port, encrypted and signed: passwords are typed there.
func activate(ctx context.Context, c *client.Client, takeOver bool) error {
	ask := &transport.ActivatePayloadRequest{
		PayloadType: types.PayloadTypeSOL, PayloadInstance: serialInstance, EnableEncryption: true, EnableAuthentication: true,
	}

	_, err := c.ActivatePayload(ctx, ask)
	if takeOver && completion(err) == types.CodeActivatePayloadAlreadyActive {
		if err := deactivate(ctx, c); err != nil {
			return fmt.Errorf("ending the session of somebody else: %w", err)
		}

		_, err = c.ActivatePayload(ctx, ask)
	}

	switch completion(err) { //nolint:exhaustive // the others are told as they come
	case types.CodeActivatePayloadAlreadyActive, types.CodeActivatePayloadActivationLimitReached:
		return outcome(SerialTaken, "")
	case types.CodeActivatePayloadTypeDisabled:
		return outcome(SerialOff, "")
	case types.CodeActivatePayloadCannotActivateWithEncryption:
		return outcome(Unsupported, "it cannot encrypt its serial console")
	}

	if err != nil {
		return fmt.Errorf("opening the serial console: %w", err)
	}

	return nil
}

func deactivate(ctx context.Context, c *client.Client) error {
	_, err := c.DeactivatePayload(ctx, &transport.DeactivatePayloadRequest{PayloadType: types.PayloadTypeSOL, PayloadInstance: serialInstance})

	return err
}

// completion is the completion code in an error; 0: none.
func completion(err error) types.CompletionCode {
	var code *types.ResponseError
	if errors.As(err, &code) {
		return code.CompletionCode()
	}

	return 0
}

// carry carries bytes both ways until the line is closed or the controller ends it, and gives the
// port back.
func (s *serial) carry(ctx context.Context, c *client.Client) {
	var last hitch

	err := guarded(func() error {
		last = s.stretches(ctx, c)

		return nil
	})
	if err != nil { // foreign bytes in a library
		last = hitch{words: "The controller says something that makes no sense."}
	}

	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), serialGoodbye)
	defer cancel()

	if s.keys.shut() {
		_ = s.in.CloseWithError(io.EOF)
		_ = deactivate(bye, c) // one that does not answer drops the session by itself

		return
	}

	// Whoever has the port now keeps it: what is still ours ends with the session (§24.2).
	if last.silent {
		if _, err := c.GetPayloadActivationStatus(bye, types.PayloadTypeSOL); err == nil {
			last.words = wordsTaken // it drops the packets of whoever has the port no more
		}
	}

	_ = s.in.CloseWithError(ended(last.words))
}

// stretches goes on after each hitch until one is the last.
func (s *serial) stretches(ctx context.Context, c *client.Client) hitch {
	for quick := 0; ; {
		began := time.Now()
		now := hitchOf(s.stretch(ctx, c))

		if quick++; time.Since(began) > soonAfter {
			quick = 0
		}

		if !now.passes || quick > mostHitches || s.keys.shut() {
			return now
		}

		if quick <= 1 {
			_, _ = fmt.Fprintf(s.in, "\r\n[vetting: %s]\r\n", now.words)
		}
	}
}

// stretch is the line, up to its first hitch.
func (s *serial) stretch(ctx context.Context, c *client.Client) error {
	over := make(chan struct{})
	defer close(over)

	return c.SOLStream(ctx, keyReader{s.keys, over}, s.in, &client.SOLStreamOptions{PollInterval: serialPoll})
}

const wordsTaken = "The controller ended the serial console: somebody took it over, or the controller was restarted."

// hitch is what stopped a stretch of the line.
type hitch struct {
	words  string // for people; empty: the line was closed
	passes bool   // the line can go on: the library ends it for a few lost characters
	silent bool   // nothing comes from the port any more
}

// hitchOf reads an error of the library, which is text only.
func hitchOf(err error) hitch {
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(err.Error(), w) })
	}

	switch {
	case err == nil:
		return hitch{}
	case says("SOL deactivation"):
		return hitch{words: wordsTaken}
	case says("transmit overrun", "unexpected BMC SOL sequence", "shortened retried", "repeated SOL sequence"):
		return hitch{words: "the controller lost some of what the machine printed", passes: true}
	case says("did not accept"):
		return hitch{words: "the machine does not take what is typed; is it on?", passes: true}
	default:
		return hitch{words: "The controller does not answer any more.", silent: true}
	}
}

// ended is why a line is over.
func ended(words string) error { return core.NewProblem(core.ErrConflict, problem.SerialEnded, words) }

// keys are what was typed and not yet sent. Safe for concurrent use.
type keys struct {
	rung chan struct{} // there is more, or no more

	mu     sync.Mutex // guards the rest
	typed  []byte
	closed bool
}

func newKeys() *keys { return &keys{rung: make(chan struct{}, 1)} }

// Write keeps p for the machine.
func (k *keys) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()

	if k.closed {
		return 0, io.ErrClosedPipe
	}

	if len(k.typed)+len(p) > serialAhead {
		return 0, ended("More was typed than the serial port takes; send long text in pieces.")
	}

	k.typed = append(k.typed, p...)
	k.ring()

	return len(p), nil
}

func (k *keys) ring() {
	select {
	case k.rung <- struct{}{}:
	default:
	}
}

// close drops what was not sent.
func (k *keys) close() {
	k.mu.Lock()
	defer k.mu.Unlock()

	k.closed, k.typed = true, nil
	k.ring()
}

func (k *keys) shut() bool {
	k.mu.Lock()
	defer k.mu.Unlock()

	return k.closed
}

// keyReader hands what was typed to one stretch of the line, and nothing once that is over: a
// stretch reads ahead, in a goroutine that outlives it.
type keyReader struct {
	keys *keys
	over <-chan struct{}
}

// Read returns a few keys; io.EOF when there will be no more.
func (r keyReader) Read(p []byte) (int, error) {
	const few = 16 // what a stretch that ends has read is lost

	for {
		select {
		case <-r.over:
			return 0, io.EOF
		default:
		}

		r.keys.mu.Lock()
		n := copy(p[:min(len(p), few)], r.keys.typed)
		r.keys.typed = r.keys.typed[n:]
		closed := r.keys.closed
		r.keys.mu.Unlock()

		switch {
		case n > 0:
			return n, nil
		case closed:
			return 0, io.EOF
		}

		select {
		case <-r.keys.rung:
		case <-r.over:
		}
	}
}
