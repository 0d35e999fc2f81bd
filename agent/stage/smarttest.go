package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vetting/agent/disk"
	"vetting/core"
)

// errTestBroken is a self-test that gave no answer; it wraps nothing.
var errTestBroken = errors.New("self-test without a result")

// runTest runs the short self-test, once more when the first was aborted. An error
// means that it gave no result.
func (x examination) runTest(ctx context.Context, log *slog.Logger, p patient) ([]core.Finding, error) {
	if !x.selfTest {
		return nil, nil
	}

	if !p.self() {
		return []core.Finding{{
			Code: "smart/no-self-test", Severity: core.Info, Title: "The disk has no self-test",
			Evidence: "the disk says that it does not support the device self-test", Next: "Nothing to do: the disk's counters were judged.",
		}}, nil
	}

	var state testState

	for try := 1; ; try++ {
		log.Info("short self-test started", slog.Int("try", try), slog.Int("minutes", p.minutes()))

		var err error

		state, err = x.awaitTest(ctx, p)
		if err != nil {
			return []core.Finding{brokenTest(err.Error())}, fmt.Errorf("%w: %w", errTestBroken, err)
		}

		if state.outcome != disk.TestAborted || try == 2 {
			break
		}
	}

	switch state.outcome {
	case disk.TestPassed:
		return nil, nil
	case disk.TestAborted:
		return []core.Finding{brokenTest("aborted twice; " + state.detail)}, errTestBroken
	default:
		return []core.Finding{{
			Code: "smart/self-test-failed", Severity: core.Critical, Title: "The disk failed its short self-test",
			Evidence: fmt.Sprintf("%s; %s", state.outcome, state.detail), Next: "Replace the disk.",
		}}, nil
	}
}

func brokenTest(evidence string) core.Finding {
	return core.Finding{
		Code: "smart/self-test-broken", Severity: core.Warning, Title: "The disk's self-test gave no result", Evidence: evidence,
		Next: "Retry the stage; if it stays so, test the disk in another machine.",
	}
}

// awaitTest starts a self-test and asks until it is over: soon after the start for
// disks that are done at once, then rarely, since every question disturbs it.
func (x examination) awaitTest(ctx context.Context, p patient) (testState, error) {
	if err := p.start(); err != nil {
		return testState{}, err
	}

	const often = 30 * time.Second

	expected := time.Duration(p.minutes()) * time.Minute
	begin, wait := time.Now(), 2*time.Second

	for {
		timer := time.NewTimer(wait)

		select {
		case <-ctx.Done():
			timer.Stop()

			return testState{}, ctx.Err()
		case <-timer.C:
		}

		state, err := p.test()
		if err != nil {
			return testState{}, err
		}

		if !state.running {
			return state, nil
		}

		spent := time.Since(begin)
		if limit := 2*expected + 10*time.Minute; spent > limit {
			return testState{}, fmt.Errorf("still running after %s", limit)
		}

		eta := max(expected-spent, time.Duration(state.left*float64(expected)))
		x.progress(0.1+0.8*(1-state.left), eta)
		x.env.Sensor(x.samples(reading{values: map[string]float64{"self_test_percent": 100 * (1 - state.left)}})...)

		wait = min(4*wait, often)
	}
}
