package foreign

import (
	"context"
	"fmt"
	"time"
)

// Work does the whole run of a claimed agent: each stage that the appliance names gets a line, a
// sample, a file and a passing result, until a heartbeat orders the machine off. It returns the
// stages in the order they were done.
//
// Which stage comes next is the appliance's to say (next_state); an agent that only counted through
// the list would miss one that was left out or repeated.
func (a *Agent) Work(ctx context.Context, claimed Claimed) ([]string, error) {
	known := map[string]bool{}
	for _, stage := range claimed.Stages {
		known[stage.Name] = true
	}
	if len(claimed.Stages) == 0 {
		return nil, fmt.Errorf("run %s has no stages", a.seed.Run)
	}
	var done []string
	for next := claimed.Stages[0].Name; known[next]; {
		moved, err := a.do(ctx, next)
		if err != nil {
			return done, fmt.Errorf("working on %s: %w", next, err)
		}
		done = append(done, next)
		if len(done) > 2*len(claimed.Stages) {
			return done, fmt.Errorf("the appliance sends from stage to stage without an end: %v", done)
		}
		next = moved.NextState
	}
	return done, a.rest(ctx, done[len(done)-1])
}

// do is one stage.
func (a *Agent) do(ctx context.Context, stage string) (Moved, error) {
	if order, err := a.Beat(ctx, stage, 0); err != nil {
		return Moved{}, err
	} else if order.Cmd != "continue" {
		return Moved{}, fmt.Errorf("ordered to %s", order.Cmd)
	}
	if err := a.Log(ctx, stage, "a stranger looks at "+stage); err != nil {
		return Moved{}, err
	}
	if err := a.Sense(ctx, stage, "cpu/package0/temperature_celsius", "celsius", 41.5); err != nil {
		return Moved{}, err
	}
	if _, err := a.Artifact(ctx, stage, stage+".txt", []byte("seen by a stranger: "+stage)); err != nil {
		return Moved{}, err
	}
	return a.Result(ctx, stage, "pass")
}

// rest beats until the run is over for the machine.
func (a *Agent) rest(ctx context.Context, last string) error {
	for {
		order, err := a.Beat(ctx, last, 1)
		if err != nil {
			return fmt.Errorf("waiting for the end: %w", err)
		}
		if order.Cmd == "shutdown" {
			return nil
		}
		if order.Cmd != "continue" {
			return fmt.Errorf("ordered to %s at the end", order.Cmd)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
