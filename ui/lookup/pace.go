package lookup

import (
	"errors"
	"sync"
	"time"

	"vetting/core"
	"vetting/ui/pace"
)

// Bounds of what is read to learn from: runs looked back at, runs taken in at once,
// and how often somebody looks for new ones.
const (
	mostBack  = 400
	mostTaken = 40
	lookAgain = 20 * time.Second
)

// Paces keeps what was learned of the time that stages take. The zero value is ready;
// safe for concurrent use.
type Paces struct {
	taken map[core.RunID]bool // of whoever learns

	mu       sync.Mutex // guards all below
	book     pace.Book
	looked   time.Time
	learning bool // somebody is
}

// Of returns what is known of the stages of a run.
func (p *Paces) Of(r core.Reader, shelf *Shelf, run *core.Run, now time.Time) (pace.Plan, error) {
	if err := p.look(r, shelf, now); err != nil {
		return nil, err
	}

	on, err := shelf.Machine(r, run)

	p.mu.Lock()
	defer p.mu.Unlock()

	return p.book.Of(run, on), err
}

// ModelPlan is how long the stages of a run take on the machines of one model.
type ModelPlan struct {
	Machine pace.Machine
	Plan    pace.Plan
}

// ByModel returns what is known of the stages of a run for each model that was vetted.
func (p *Paces) ByModel(r core.Reader, shelf *Shelf, run *core.Run, now time.Time) (list []ModelPlan, err error) {
	if err := p.look(r, shelf, now); err != nil {
		return nil, err
	}

	p.mu.Lock()
	defer p.mu.Unlock()

	for _, on := range p.book.Models() {
		list = append(list, ModelPlan{Machine: on, Plan: p.book.Of(run, on)})
	}

	return list, nil
}

// look learns what there is to learn, where it was not looked for lately and nobody does
// so now.
func (p *Paces) look(r core.Reader, shelf *Shelf, now time.Time) error {
	if !p.due(now) {
		return nil
	}

	// taken is read and written by who learns only.
	anew := len(p.taken) > mostShelved
	if p.taken == nil || anew {
		p.taken = map[core.RunID]bool{}
	}

	var (
		found []lesson
		err   error
	)

	defer func() { p.learn(found, anew) }() // whatever comes of it, somebody may look again

	found, err = p.fresh(r, shelf)

	return err
}

// due reports whether the caller is to learn, and nobody else until it has.
func (p *Paces) due(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.learning || now.Sub(p.looked) <= lookAgain && !now.Before(p.looked) {
		return false
	}

	p.looked, p.learning = now, true

	return true
}

// learn takes in what was found.
func (p *Paces) learn(found []lesson, anew bool) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if anew {
		p.book = pace.Book{}
	}

	for i := range found {
		p.book.Learn(&found[i].run, found[i].on)
	}

	p.learning = false
}

// lesson is a run that has ended.
type lesson struct {
	run core.Run
	on  pace.Machine
}

// fresh finds runs that have ended since, the newest first.
func (p *Paces) fresh(r core.Reader, shelf *Shelf) (found []lesson, err error) {
	err = r.Scan(core.TableRun, core.Query{Reverse: true, Limit: mostBack}, func(key string, decode func(any) error) error {
		if p.taken[core.RunID(key)] {
			return nil
		}

		var run core.Run

		if err := decode(&run); err != nil {
			return err
		}

		if !run.State.Over() {
			return nil
		}

		on, err := shelf.Machine(r, &run)
		if err != nil {
			return err
		}

		found = append(found, lesson{run, on})
		p.taken[run.ID] = true

		if len(found) == mostTaken {
			return errEnough
		}

		return nil
	})
	if errors.Is(err, errEnough) {
		return found, nil
	}

	return found, err
}
