package power_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vetting/core"
	"vetting/core/problem"
	"vetting/netboot/power"
)

const (
	user     = "vetting"
	password = "s3cret-pa55word!"
	secret   = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// soon is a time limit for calls that are meant to run into it.
const soon = 150 * time.Millisecond

// wayTo makes a way to a target, which calls that should succeed have long for.
func wayTo(t *testing.T, target power.Target, limit time.Duration) power.Way {
	t.Helper()

	target.Host = "rack1-u07"

	way, err := power.New(target, power.Tools{Interface: "lo", Timeout: limit, Now: func() time.Time { return time.Unix(1614265330, 0) }})
	if err != nil {
		t.Fatal(err)
	}

	return way
}

const long = 2 * time.Minute

// mustBe checks the outcome of an error, that a person finds a sentence in it,
// and that it tells no secret.
func mustBe(t *testing.T, err error, want power.Outcome) {
	t.Helper()

	if got := power.OutcomeOf(err); got != want {
		t.Errorf("the outcome is %s, not %s: %v", got, want, err)
	}

	if want == power.OK || err == nil {
		return
	}

	var p *core.Problem
	if !errors.As(err, &p) {
		t.Fatalf("no problem in %v", err)
	}

	if _, known := problem.Lookup(p.Code); !known || p.Message == "" {
		t.Errorf("the problem %q has no entry", p.Code)
	}

	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), fmt.Sprint(p.Details)} {
		if strings.Contains(text, password) || strings.Contains(text, secret) || strings.Contains(text, "dmV0dGluZzpz") {
			t.Errorf("a secret is told: %s", text)
		}
	}
}

func mustState(t *testing.T, way power.Way, want power.State) {
	t.Helper()

	if got, err := way.State(t.Context()); err != nil || got != want {
		t.Errorf("the state is %q, not %q: %v", got, want, err)
	}
}
