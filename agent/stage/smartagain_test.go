package stage_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/machines"
	"vetting/agent/stage"
	"vetting/core"
)

// afterBurn is a Burn that ends so, and counts how often it was begun.
func afterBurn(verdict core.Verdict, begun *int) stage.Func {
	return func(_ context.Context, env stage.Env) core.Result {
		*begun++

		env.Checkpoint([]byte(`{"spent":1}`))

		return core.Result{Verdict: verdict, Coverage: "everything", Measurements: make([]core.Sample, 2000)}
	}
}

func soaking() map[string]string {
	return map[string]string{"SMART.self_test": "extended", "SMART.again": "after-burn"}
}

// The disks test themselves again after a burn that found nothing.
func TestDisksTestThemselvesAgain(t *testing.T) {
	for name, c := range map[string]struct {
		config   map[string]string
		burn     core.Verdict
		then     []func([]byte) []byte // how the self-test of one disk stands
		verdict  core.Verdict
		starts   int
		code     string
		coverage string
	}{
		"passed":                      {soaking(), core.Pass, []func([]byte) []byte{status(15, 9), status(15, 1), status(0, 0)}, core.Pass, 1, "", "everything; extended self-tests again: 6 of 6 disks that have one"},
		"failed":                      {soaking(), core.Pass, []func([]byte) []byte{status(15, 9), status(7, 3)}, core.Fail, 1, "smart/self-test-failed", "everything; extended self-tests again: 5 of 6 disks that have one"},
		"without a result":            {soaking(), core.Pass, []func([]byte) []byte{status(15, 9), status(2, 3), status(15, 9), status(2, 3)}, core.Error, 2, "smart/self-test-broken", "everything; extended self-tests again: 5 of 6 disks that have one"},
		"after a burn that failed":    {soaking(), core.Fail, nil, core.Fail, 0, "", "everything; self-tests NOT run again"},
		"in a profile without":        {map[string]string{"SMART.self_test": "extended", "SMART.again": "no"}, core.Pass, nil, core.Pass, 0, "", "everything"},
		"in one without any at all":   {map[string]string{"SMART.self_test": "none", "SMART.again": "after-burn"}, core.Pass, nil, core.Pass, 0, "", "everything"},
		"in one that says nothing":    {map[string]string{}, core.Pass, nil, core.Pass, 0, "", "everything"},
		"after one that was an error": {soaking(), core.Error, nil, core.Error, 0, "", "everything; self-tests NOT run again"},
	} {
		t.Run(name, func(t *testing.T) {
			r := machines.Open(t, sataMachine)
			if err := r.Disks.Later("sda", ataAttributes, c.then...); err != nil {
				t.Fatal(err)
			}

			machine, heard := listen(r)
			begun := 0

			result := run(t, newBench(c.config), stage.SelfTestsAfter(afterBurn(c.burn, &begun), machine, nil))
			starts := len(heard.of("sda", ataExtended))

			if result.Verdict != c.verdict || starts != c.starts || begun != 1 || result.Coverage != c.coverage {
				t.Errorf("%s, %q, started %d times, burned %d", result.Verdict, result.Coverage, starts, begun)
			}

			for _, f := range result.Findings {
				if f.Code != c.code || f.Part.Serial == "" {
					t.Errorf("found %+v", f)
				}
			}

			if c.code != "" && len(find(result, c.code)) != 1 {
				t.Errorf("no %s", c.code)
			}
		})
	}
}

// A process that is started in the midst of the self-tests goes on with them, and does
// not burn again.
func TestSecondSelfTestsGoOn(t *testing.T) {
	r := machines.Open(t, sataMachine)
	if err := r.Disks.Later("sda", ataAttributes, status(15, 9)); err != nil {
		t.Fatal(err)
	}

	machine, heard := listen(r)
	begun := 0

	synctest.Test(t, func(t *testing.T) {
		first := newBench(soaking())

		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()

		stopped := stage.SelfTestsAfter(afterBurn(core.Pass, &begun), machine, nil)(ctx, first.Env)
		if stopped.Verdict == core.Pass || !strings.Contains(stopped.Coverage, "NOT finished") {
			t.Errorf("stopped: %s, %q", stopped.Verdict, stopped.Coverage)
		}

		if n := len(first.state); n == 0 || n > stage.MaxCheckpoint {
			t.Fatalf("%d bytes are kept", n)
		}

		again := machines.Open(t, sataMachine)
		if err := again.Disks.Later("sda", ataAttributes, status(15, 2), status(15, 1), status(0, 0)); err != nil {
			t.Fatal(err)
		}

		second := newBench(soaking())
		second.Resume = first.state

		now, also := listen(again)

		result := stage.SelfTestsAfter(afterBurn(core.Fail, &begun), now, nil)(t.Context(), second.Env)
		if result.Verdict != core.Pass || begun != 1 || !strings.HasPrefix(result.Coverage, "everything; extended self-tests again") {
			t.Errorf("%s, %q, burned %d times: %+v", result.Verdict, result.Coverage, begun, result.Findings)
		}

		if n := len(heard.of("sda", ataExtended)) + len(also.of("sda", ataExtended)); n != 1 {
			t.Errorf("started %d times", n)
		}
	})
}

// What Burn itself keeps is no word of self-tests.
func TestABurnThatGoesOnBurns(t *testing.T) {
	begun := 0
	b := newBench(soaking())
	b.Resume = []byte(`{"spent":1}`)

	result := run(t, b, stage.SelfTestsAfter(func(_ context.Context, env stage.Env) core.Result {
		begun++

		if string(env.Resume) != `{"spent":1}` {
			t.Errorf("resumed with %q", env.Resume)
		}

		return core.Result{Verdict: core.Pass}
	}, machines.Open(t, "azw-mini-s12-adln.m6s").Machine(), nil))

	if begun != 1 || result.Verdict != core.Pass {
		t.Errorf("burned %d times: %+v", begun, result)
	}
}
