package engine

import (
	"context"
	"errors"
	"sync"

	"vetting/core"
)

// passes remember, for runs under way, what a batch of samples is checked
// against, so that a batch costs no look at the run's records. What a write of
// the run may change is forgotten from the moment the write is made until its
// outcome is known: nothing is ever let in on what may be old.
type passes struct {
	mu    sync.Mutex // guards the rest
	byRun map[core.RunID]*pass
	turns uint64 // the last one given
	floor uint64 // the turn of a run that is not in byRun
}

type pass struct {
	open  int    // writes of this run whose outcome is not known
	turn  uint64 // another one with every write, and never one twice
	facts *facts // nil: not known
}

// facts are of a run that is not over.
type facts struct {
	host    core.MAC
	epoch   int
	session []byte // SHA-256 of the session token
	at      standing
	unkept  bool // its raw samples are not kept, as far as its record says
}

func (l *life) facts() facts {
	return facts{host: l.run.Host, epoch: l.run.Epoch, session: l.secret.SessionToken, at: l.standing(), unkept: l.unkept()}
}

// maxPasses bounds what is remembered; all of it can be read anew.
const maxPasses = 4096

func newPasses() *passes { return &passes{byRun: map[core.RunID]*pass{}} }

// opening is a write under way, with the turn that it began.
type opening struct {
	run  core.RunID
	turn uint64
}

// begin forgets what a write is about to change.
func (p *passes) begin(run core.RunID) opening {
	p.mu.Lock()
	defer p.mu.Unlock()

	found := p.byRun[run]
	if found == nil {
		found = &pass{}
		p.byRun[run] = found
	}

	p.turns++
	found.open, found.turn, found.facts = found.open+1, p.turns, nil

	return opening{run, p.turns}
}

// end is told for every begin, once the write succeeded or failed. What the write
// left there, if that is known, is good where no other write of the run began or
// ended meanwhile.
func (p *passes) end(o opening, left *facts) {
	p.mu.Lock()
	defer p.mu.Unlock()

	run, found := o.run, p.byRun[o.run]
	alone := found.turn == o.turn
	p.turns++
	found.open, found.turn = found.open-1, p.turns

	if alone && found.open == 0 && left != nil && left.at.run == run {
		found.facts = left
	}

	if len(p.byRun) > maxPasses && found.open == 0 {
		delete(p.byRun, run)
		p.floor = p.turns
	}
}

// look returns the facts, or nil, and the turn that they are of, or would be if
// they were read now.
func (p *passes) look(run core.RunID) (*facts, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()

	found := p.byRun[run]
	if found == nil {
		return nil, p.floor
	}

	return found.facts, found.turn
}

// learn keeps facts that were read after turn was looked up, unless they may be
// old by now.
func (p *passes) learn(run core.RunID, turn uint64, known facts) {
	p.mu.Lock()
	defer p.mu.Unlock()

	found := p.byRun[run]

	switch {
	case found == nil && turn == p.floor && len(p.byRun) < maxPasses:
		p.byRun[run] = &pass{turn: turn, facts: &known}
	case found != nil && found.open == 0 && found.turn == turn:
		found.facts = &known
	}
}

// still reports whether nothing has been written to the run since turn.
func (p *passes) still(run core.RunID, turn uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	found := p.byRun[run]

	return found != nil && found.open == 0 && found.turn == turn
}

// admitted is what a call with a good session token may rely on while still
// holds of its turn.
type admitted struct {
	facts

	turn uint64
	live bool // not over: samples are taken
}

// admit checks a session token of the current epoch. A run that is over still
// takes the agent's last log lines for a while.
func (e *Engine) admit(ctx context.Context, run core.RunID, token string) (admitted, error) {
	known, turn := e.passes.look(run)
	if known != nil && same(known.session, digest(token)) {
		return admitted{facts: *known, turn: turn, live: true}, nil
	}

	var (
		got  facts
		live bool
	)

	err := e.Ledger.View(ctx, func(r core.Reader) error {
		l := &life{}
		if err := readRun(r, run, &l.run); err != nil {
			return err
		}

		err := r.Get(core.TableRunSecret, string(run), &l.secret)
		if err != nil && !errors.Is(err, core.ErrNotFound) {
			return err
		}

		got = l.facts()

		if err := l.authorise(token, e.Clock.Now(), true); err != nil {
			return err
		}

		if live = !l.run.State.Over(); live {
			e.passes.learn(run, turn, got)
		}

		return nil
	})
	if err != nil {
		return admitted{}, e.wrongToken(err, run, token)
	}

	return admitted{facts: got, turn: turn, live: live}, nil
}

// standing reads where a run is, without its token.
func (e *Engine) standing(ctx context.Context, run core.RunID) (at standing, err error) {
	err = e.Ledger.View(ctx, func(r core.Reader) error {
		l := &life{}
		if err := readRun(r, run, &l.run); err != nil {
			return err
		}

		at = l.standing()

		return nil
	})

	return at, err
}
