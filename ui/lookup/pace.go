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
	mu     sync.Mutex // guards all below
	book   pace.Book
	taken  map[core.RunID]bool
	looked time.Time
}

// Of returns what is known of the stages of a run.
func (p *Paces) Of(r core.Reader, shelf *Shelf, run *core.Run, now time.Time) (pace.Plan, error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if err := p.look(r, shelf, now); err != nil {
		return nil, err
	}

	on, err := shelf.Machine(r, run)

	return p.book.Of(run, on), err
}

// ModelPlan is how long the stages of a run take on the machines of one model.
type ModelPlan struct {
	Machine pace.Machine
	Plan    pace.Plan
}

// ByModel returns what is known of the stages of a run for each model that was vetted.
func (p *Paces) ByModel(r core.Reader, shelf *Shelf, run *core.Run, now time.Time) (list []ModelPlan, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if err := p.look(r, shelf, now); err != nil {
		return nil, err
	}

	for _, on := range p.book.Models() {
		list = append(list, ModelPlan{Machine: on, Plan: p.book.Of(run, on)})
	}

	return list, nil
}

// look learns what there is to learn, where it was not looked for lately.
func (p *Paces) look(r core.Reader, shelf *Shelf, now time.Time) error {
	if now.Sub(p.looked) <= lookAgain && !now.Before(p.looked) {
		return nil
	}

	p.looked = now

	return p.learn(r, shelf)
}

// learn takes runs in that have ended since, the newest first.
func (p *Paces) learn(r core.Reader, shelf *Shelf) error {
	if p.taken == nil || len(p.taken) > mostShelved {
		p.book, p.taken = pace.Book{}, map[core.RunID]bool{}
	}

	taken := 0

	err := r.Scan(core.TableRun, core.Query{Reverse: true, Limit: mostBack}, func(key string, decode func(any) error) error {
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

		p.book.Learn(&run, on)
		p.taken[run.ID] = true

		if taken++; taken == mostTaken {
			return errEnough
		}

		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}

	return err
}
