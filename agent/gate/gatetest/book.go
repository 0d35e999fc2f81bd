// Package gatetest is an appliance in memory for tests of the conversation: the
// real gate and its TLS server in front of a book that decides by the simplest
// rules, on a network in memory. What the engine decides is tested with the
// engine.
package gatetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"sync"
	"time"

	"vetting/core"
)

// Book is the memory of an appliance: one run, which passes a stage whatever it
// says but "fail" and "error". It implements gate.Runs, gate.LogSink and
// gate.ArtifactSink. Safe for concurrent use; fields are set before use.
type Book struct {
	Run       core.RunID
	BootToken string
	Identity  core.Identity // the registered one; unknown: any
	Stages    []core.StageName
	Config    map[string]string
	Disks     []core.ExpectedDisk
	Interval  time.Duration // of heartbeats
	ClockOff  time.Duration // of the appliance against the machine
	Overlays  []core.Overlay
	Reboot    bool         // a run that has passed ends with the order to start anew
	HoldKeys  []string     // lines of authorized_keys that a hold is opened to
	Outlook   core.Outlook // goes with every order

	mu        sync.Mutex
	state     core.State
	session   string
	epoch     int
	bootID    string       // of who claimed
	light     *core.Light  // goes with every order
	order     core.Command // overrides what the state tells, when not empty
	passOver  []string     // goes with it
	passUntil time.Time
	hellos    []core.Hello
	claims    int
	beats     []core.Beat
	results   []core.Result
	answers   map[uint64]core.State
	samples   map[uint64][]core.Sample
	repeated  int // batches and results seen before
	lines     []core.LogLine
	holds     []core.HoldCall
	batches   map[[2]uint64]uint64 // by epoch and number
	artifacts map[string][]byte
	kept      []core.Artifact
	attempts  int // calls that carried a token
	full      bool
	broken    bool // breaks over samples
	silent    bool // a run that is over answers no heartbeats any more
}

// State returns where the run is.
func (b *Book) State() core.State { return locked(b, func() core.State { return b.state }) }

// SetState puts the run into a state, as an operator does.
func (b *Book) SetState(s core.State) { locked(b, func() any { b.state = s; return nil }) }

// Order lets every heartbeat be answered with cmd; empty: as the state tells.
func (b *Book) Order(cmd core.Command) { locked(b, func() any { b.order = cmd; return nil }) }

// Light has every order name a part that is to be found by its light; nil: none.
func (b *Book) Light(l *core.Light) { locked(b, func() any { b.light = l; return nil }) }

// PassOver lets orders bring flags, until some time.
func (b *Book) PassOver(until time.Time, flags ...string) {
	locked(b, func() any { b.passOver, b.passUntil = flags, until; return nil })
}

// SetFull lets every write be refused for want of space.
func (b *Book) SetFull(full bool) { locked(b, func() any { b.full = full; return nil }) }

// SetBroken lets the book panic over every sample.
func (b *Book) SetBroken(broken bool) { locked(b, func() any { b.broken = broken; return nil }) }

// Fence lets a newer boot claim the run.
func (b *Book) Fence() {
	locked(b, func() any { b.epoch++; b.session = "of a newer boot"; return nil })
}

// Silence lets a run that is over answer no heartbeats any more.
func (b *Book) Silence() { locked(b, func() any { b.silent = true; return nil }) }

// Hellos returns the hellos heard.
func (b *Book) Hellos() []core.Hello {
	return locked(b, func() []core.Hello { return slices.Clone(b.hellos) })
}

// Beats returns the heartbeats heard.
func (b *Book) Beats() []core.Beat {
	return locked(b, func() []core.Beat { return slices.Clone(b.beats) })
}

// Results returns the results taken, in order.
func (b *Book) Results() []core.Result {
	return locked(b, func() []core.Result { return slices.Clone(b.results) })
}

// Lines returns the log.
func (b *Book) Lines() []core.LogLine {
	return locked(b, func() []core.LogLine { return slices.Clone(b.lines) })
}

// Samples returns all samples in the order of their batches.
func (b *Book) Samples() (all []core.Sample) {
	return locked(b, func() []core.Sample {
		seqs := make([]uint64, 0, len(b.samples))
		for seq := range b.samples {
			seqs = append(seqs, seq)
		}

		slices.Sort(seqs)

		for _, seq := range seqs {
			all = append(all, b.samples[seq]...)
		}

		return all
	})
}

// Artifacts returns the records of the files that were kept.
func (b *Book) Artifacts() []core.Artifact {
	return locked(b, func() []core.Artifact { return slices.Clone(b.kept) })
}

// Artifact returns a file by its digest.
func (b *Book) Artifact(digest string) []byte {
	return locked(b, func() []byte { return b.artifacts[digest] })
}

// Claims returns how often the run was claimed with success: more than once by a
// boot whose answer was lost.
func (b *Book) Claims() int { return locked(b, func() int { return b.claims }) }

// Repeated returns how many messages came twice.
func (b *Book) Repeated() int { return locked(b, func() int { return b.repeated }) }

// Attempts returns how many calls carried a token here, good or bad.
func (b *Book) Attempts() int { return locked(b, func() int { return b.attempts }) }

func locked[T any](b *Book, look func() T) T {
	b.mu.Lock()
	defer b.mu.Unlock()

	return look()
}

// Hello implements gate.Runs.
func (b *Book) Hello(_ context.Context, run core.RunID, token string, hello core.Hello) (core.HelloReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.attempts++

	if run != b.Run || token != b.BootToken {
		return core.HelloReply{}, core.ErrUnauthorized
	}

	b.hellos = append(b.hellos, hello)

	return core.HelloReply{State: b.current(), ServerTime: time.Now().Add(b.ClockOff)}, nil
}

// current is the state; b.mu is held.
func (b *Book) current() core.State {
	if b.state == "" {
		b.state = core.StateBooting
	}

	return b.state
}

// Claim implements gate.Runs.
func (b *Book) Claim(_ context.Context, run core.RunID, token string, claim core.Claim) (core.ClaimReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.attempts++

	if run != b.Run || token != b.BootToken {
		return core.ClaimReply{}, core.ErrUnauthorized
	}

	if b.Identity.Known() && b.Identity.SMBIOSUUID != claim.Identity.SMBIOSUUID {
		return core.ClaimReply{}, core.NewProblem(core.ErrRefused, "host/identity-mismatch",
			"This is not the machine that was registered.")
	}

	again := claim.BootID == b.bootID && len(b.beats) == 0

	if b.claims > 0 && !again {
		return core.ClaimReply{}, core.NewProblem(core.ErrRefused, "boot/token-reused", "The boot token was used before.")
	}

	if b.claims == 0 {
		b.epoch++
		b.session, b.bootID = "session "+string(rune('0'+b.epoch)), claim.BootID
	}

	b.claims++

	if b.current() == core.StateBooting {
		b.state = core.State(b.Stages[0])
	}

	return core.ClaimReply{
		SessionToken: b.session, Epoch: b.epoch, State: b.state,
		Profile: core.Profile{Name: "quick", Scale: 1, Config: b.Config}, Stages: b.Stages, Disks: b.Disks, Overlays: b.Overlays,
		HeartbeatInterval: b.Interval,
	}, nil
}

// Authorise implements gate.Runs.
func (b *Book) Authorise(_ context.Context, run core.RunID, token string) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.attempts++

	return b.epoch, b.open(run, token)
}

// open judges a session token and whether the run takes anything; b.mu is held.
func (b *Book) open(run core.RunID, token string) error {
	if err := b.check(run, token); err != nil {
		return err
	}

	if b.state.Over() {
		return core.NewProblem(core.ErrExpired, "run/over", "This run is over.").With("state", string(b.state))
	}

	return nil
}

// check judges a session token; b.mu is held.
func (b *Book) check(run core.RunID, token string) error {
	switch {
	case run != b.Run:
		return core.ErrUnauthorized
	case token == b.session && b.session != "":
		return nil
	case b.epoch > 1 && token == "session 1":
		return core.NewProblem(core.ErrExpired, "run/old-epoch", "The host was booted again since.").With("state", string(b.state))
	default:
		return core.ErrUnauthorized
	}
}

// Heartbeat implements gate.Runs.
func (b *Book) Heartbeat(_ context.Context, run core.RunID, token string, beat core.Beat) (core.Order, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.attempts++

	if err := b.check(run, token); err != nil {
		return core.Order{}, err
	}

	if err := b.open(run, token); err != nil && b.silent {
		return core.Order{}, err
	}

	b.beats = append(b.beats, beat)

	order := core.Order{Cmd: core.CmdContinue, State: b.state, Outlook: b.Outlook, Light: b.light}

	switch {
	case b.order != "":
		order.Cmd = b.order
		order.Stage, order.Overrides, order.OverrideUntil = core.StageName(b.state), b.passOver, b.passUntil
	case b.state == core.StateCompleted:
		order.Cmd, order.Reboot = core.CmdShutdown, b.Reboot
	case b.state == core.StateFailedHolding || b.state.Over():
		order.Cmd = core.CmdAbort
	}

	return order, nil
}

// Sensor implements gate.Runs.
func (b *Book) Sensor(
	_ context.Context, run core.RunID, token string, seq uint64, samples []core.Sample,
) ([]core.Evaluation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	if err := b.check(run, token); err != nil {
		return nil, err
	}

	switch {
	case b.broken:
		panic("broken")
	case b.full:
		return nil, core.ErrFull
	}

	if b.samples == nil {
		b.samples = map[uint64][]core.Sample{}
	}

	if b.samples[seq] != nil {
		b.repeated++

		return nil, nil
	}

	b.samples[seq] = samples

	return nil, nil
}

// Result implements gate.Runs.
func (b *Book) Result(_ context.Context, run core.RunID, token string, result core.Result) (core.State, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	if err := b.check(run, token); err != nil {
		return "", err
	}

	if state, seen := b.answers[result.Seq]; seen {
		b.repeated++

		return state, nil
	}

	if err := b.open(run, token); err != nil {
		return "", err
	}

	if core.State(result.Stage) != b.state {
		return "", core.NewProblem(core.ErrConflict, "run/wrong-state", "The run is not in this stage.").With("state", string(b.state))
	}

	b.results = append(b.results, result)
	b.state = b.after(result)

	if b.answers == nil {
		b.answers = map[uint64]core.State{}
	}

	b.answers[result.Seq] = b.state

	return b.state, nil
}

// after is the state that follows a result; b.mu is held.
func (b *Book) after(result core.Result) core.State {
	at := slices.Index(b.Stages, result.Stage)

	switch {
	case result.Verdict == core.Fail || result.Verdict == core.Error:
		return core.StateFailedHolding
	case at+1 < len(b.Stages):
		return core.State(b.Stages[at+1])
	default:
		return core.StateCompleted
	}
}

// HoldOpened implements gate.Runs.
func (b *Book) HoldOpened(_ context.Context, run core.RunID, token string, call core.HoldCall) (core.HoldReply, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.attempts++

	if err := b.open(run, token); err != nil {
		return core.HoldReply{}, err
	}

	if b.state != core.StateFailedHolding {
		return core.HoldReply{}, core.NewProblem(core.ErrConflict, "hold/wrong-state", "Only a held host opens its SSH server.")
	}

	b.holds = append(b.holds, call)

	return core.HoldReply{AuthorizedKeys: b.HoldKeys, Until: time.Now().Add(24 * time.Hour)}, nil
}

// Holds returns the holds that were opened.
func (b *Book) Holds() []core.HoldCall {
	return locked(b, func() []core.HoldCall { return slices.Clone(b.holds) })
}

// Logged implements gate.Runs.
func (b *Book) Logged(context.Context, core.RunID, uint64) error { return nil }

// Kept implements gate.Runs.
func (b *Book) Kept(_ context.Context, a core.Artifact) (core.Artifact, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	a.ID = string(a.Run) + "-1"
	b.kept = append(b.kept, a)

	return a, nil
}

// AppendLog implements gate.LogSink.
func (b *Book) AppendLog(
	_ context.Context, _ core.RunID, epoch int, seq uint64, lines []core.LogLine,
) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.full {
		return 0, core.ErrFull
	}

	if b.batches == nil {
		b.batches = map[[2]uint64]uint64{}
	}

	batch := [2]uint64{uint64(epoch), seq} //nolint:gosec // an epoch is never negative

	if last, seen := b.batches[batch]; seen {
		b.repeated++

		return last, nil
	}

	for _, line := range lines {
		line.Seq = uint64(len(b.lines) + 1)
		b.lines = append(b.lines, line)
	}

	b.batches[batch] = uint64(len(b.lines))

	return uint64(len(b.lines)), nil
}

// KeepArtifact implements gate.ArtifactSink.
func (b *Book) KeepArtifact(_ context.Context, body io.Reader, limit int64) (string, int64, error) {
	raw, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return "", 0, err
	}

	sum := sha256.Sum256(raw)
	digest := hex.EncodeToString(sum[:])

	b.mu.Lock()
	defer b.mu.Unlock()

	if b.artifacts == nil {
		b.artifacts = map[string][]byte{}
	}

	b.artifacts[digest] = raw

	return digest, int64(len(raw)), nil
}
