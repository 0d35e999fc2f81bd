package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"vetting/agent/disk"
	"vetting/core"
)

// errTestBroken is a self-test that gave no answer; it wraps nothing.
var errTestBroken = errors.New("self-test without a result")

const noSelfTest = "smart/no-self-test"

// runTest runs the self-test, once more when the first was aborted. An error means that
// it gave no result. before is the disk's log of self-tests.
func (x examination) runTest(ctx context.Context, log *slog.Logger, p patient, before []disk.SelfTest) ([]core.Finding, error) {
	if x.selfTest == "" {
		return nil, nil
	}

	if !p.self() {
		return []core.Finding{{
			Code: noSelfTest, Severity: core.Info, Title: "The disk has no self-test",
			Evidence: "the disk says that it does not support the device self-test", Next: "Nothing to do: the disk's counters were judged.",
		}}, nil
	}

	var (
		state testState
		seen  bool
	)

	for try := 1; ; try++ {
		log.Info("self-test started", slog.String("length", string(x.selfTest)), slog.Int("try", try), slog.Int("minutes", p.minutes(x.selfTest)))

		var err error

		state, seen, err = x.awaitTest(ctx, p)
		if err != nil {
			return []core.Finding{brokenTest(err.Error())}, fmt.Errorf("%w: %w", errTestBroken, err)
		}

		if state.outcome != disk.TestAborted || try == 2 {
			break
		}

		before = state.tests
	}

	// A disk that took the command and did nothing tells of the test before.
	if (state.logged || !seen) && !newer(before, state.tests) {
		return []core.Finding{brokenTest("the disk took the command, and its log of self-tests is what it was before")}, errTestBroken
	}

	// The log may have kept nothing of our test: what it has then is of another day.
	if state.length != "" && state.length != x.selfTest {
		return []core.Finding{brokenTest(fmt.Sprintf("no result of the %s self-test in the log, whose latest entry is of the %s one", x.selfTest, state.length))},
			errTestBroken
	}

	switch state.outcome {
	case disk.TestPassed:
		return nil, nil
	case disk.TestAborted:
		return []core.Finding{brokenTest("aborted twice; " + state.detail)}, errTestBroken
	default:
		return []core.Finding{{
			Code: "smart/self-test-failed", Severity: core.Critical, Title: fmt.Sprintf("The disk failed its %s self-test", x.selfTest),
			Evidence: fmt.Sprintf("%s; %s", state.outcome, state.detail), Next: "Replace the disk.",
		}}, nil
	}
}

// newer reports whether a log of self-tests has an entry that it had not before, or may have:
// one that is full of the same does not tell.
func newer(before, now []disk.SelfTest) bool {
	const full = 19 // the least that any kind of log has room for

	alike := len(now) > 0 && !slices.ContainsFunc(now, func(t disk.SelfTest) bool { return t != now[0] })

	return !slices.Equal(before, now) || len(now) >= full && alike
}

func brokenTest(evidence string) core.Finding {
	return core.Finding{
		Code: "smart/self-test-broken", Severity: core.Warning, Title: "The disk's self-test gave no result", Evidence: evidence,
		Next: "Retry the stage; if it stays so, test the disk in another machine.",
	}
}

// awaitTest starts a self-test and asks until it is over: soon after the start for
// disks that are done at once, then rarely, since every question disturbs it. seen is
// whether the disk was seen at it.
func (x examination) awaitTest(ctx context.Context, p patient) (state testState, seen bool, err error) {
	begin, err := x.startTest(p)
	if err != nil {
		return testState{}, false, err
	}

	const often = 30 * time.Second

	expected := time.Duration(p.minutes(x.selfTest)) * time.Minute
	wait := 2 * time.Second

	for {
		timer := time.NewTimer(wait)

		select {
		case <-ctx.Done():
			timer.Stop()
			x.abortTest(p)

			return testState{}, seen, ctx.Err()
		case <-timer.C:
		}

		state, err := p.test()
		if err != nil {
			return testState{}, seen, err
		}

		if !state.running {
			return state, seen, nil
		}

		seen = true

		spent := time.Since(begin)
		if limit := 2*expected + 10*time.Minute; spent > limit {
			x.abortTest(p)

			return testState{}, seen, fmt.Errorf("still running after %s", limit)
		}

		if state.untold {
			state.left = max(1-float64(spent)/float64(expected), 0)
		}

		eta := max(expected-spent, time.Duration(state.left*float64(expected)))
		x.progress(0.1+0.8*(1-state.left), eta)
		x.env.Sensor(x.samples(reading{values: map[string]float64{"self_test_percent": 100 * (1 - state.left)}})...)

		wait = min(4*wait, often)
	}
}

// startTest starts the self-test, unless this agent did before it was restarted, and it
// goes on. One that somebody else started is ended first: its result would not be ours.
func (x examination) startTest(p patient) (begin time.Time, err error) {
	if began, ours := x.begun.before(x.key, x.selfTest); ours {
		if state, err := p.test(); err == nil && state.running {
			x.begun.begin(x.key, x.selfTest, began)

			return began, nil
		}
	}

	err = p.start(x.selfTest)
	if errors.Is(err, disk.ErrBusy) {
		x.abortTest(p)

		err = p.start(x.selfTest)
	}

	if err == nil {
		begin = time.Now()
		x.begun.begin(x.key, x.selfTest, begin)
	}

	return begin, err
}

// abortTest ends the self-test, so that the disk is free for others.
func (x examination) abortTest(p patient) {
	if err := p.abort(); err != nil {
		x.env.Log.Warn("self-test cannot be ended", slog.String("disk", x.Name), slog.String("error", err.Error()))
	}
}
