package wire_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vetting/agent/wire"
)

// batch is what an agent sends, with everything that a sample may have or lack.
func batch() wire.SensorBatch {
	at := wire.At(time.Date(2026, 3, 1, 12, 0, 0, 5e6, time.UTC))
	value := func(v float64) *float64 { return &v }

	return wire.SensorBatch{Seq: 7, Samples: []wire.Sample{
		{Time: at, Key: "cpu/core0/temperature_celsius", Value: value(41.5), Unit: "celsius", Stage: "CPUStress"},
		{Time: at, Key: "cpu/core1/temperature_celsius", Unit: "celsius", Stage: "CPUStress"},
		{Time: at, Key: "board/fan1/fan_rpm", Value: value(-0), Unit: "rpm", Stage: "Burn"},
		{Time: at, Key: "nic/eth0/errors_count", Value: value(1e21)},
		{Time: at, Key: "nic/eth0/errors_count", Value: value(5e-324), Stage: "Burn"},
	}}
}

func TestABatchIsReadPlainlyAsTheAgentWritesIt(t *testing.T) {
	for name, want := range map[string]wire.SensorBatch{
		"full": batch(), "without samples": {Seq: 1, Samples: []wire.Sample{}},
	} {
		body, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}

		for _, end := range []string{"", "\n"} { // a json.Encoder, which the agent uses, ends lines
			var got wire.SensorBatch
			if !wire.ReadPlain([]byte(string(body)+end), &got) {
				t.Fatalf("%s is not read: %s%s", name, body, end)
			}

			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

func TestWhatIsNotPlainIsLeftToTheDecoder(t *testing.T) {
	for name, body := range map[string]string{
		"white space":      `{"seq":1, "samples":[]}`,
		"another order":    `{"samples":[],"seq":1}`,
		"more behind it":   `{"seq":1,"samples":[]}{}`,
		"a leading zero":   `{"seq":01,"samples":[]}`,
		"no list":          `{"seq":1,"samples":null}`,
		"an escape":        `{"seq":1,"samples":[{"time":"2026-03-01T12:00:00.005Z","key":"a\/b","value":1}]}`,
		"another field":    `{"seq":1,"samples":[{"time":"2026-03-01T12:00:00.005Z","key":"a","value":1,"x":2}]}`,
		"no number":        `{"seq":1,"samples":[{"time":"2026-03-01T12:00:00.005Z","key":"a","value":+1}]}`,
		"too large":        `{"seq":1,"samples":[{"time":"2026-03-01T12:00:00.005Z","key":"a","value":1e999}]}`,
		"an unknown stage": `{"seq":1,"samples":[{"time":"2026-03-01T12:00:00.005Z","key":"a","value":1,"stage":"Cooking"}]}`,
		"a broken end":     `{"seq":1,"samples":[{"time":"2026-03-01T12:00:00.005Z","key":"a","value":1},]}`,
		"nothing":          ``,
	} {
		var got wire.SensorBatch

		if wire.ReadPlain([]byte(body), &got) {
			t.Errorf("%s is read as %+v", name, got)
		}
	}
}

// FuzzReadPlain: what is read plainly, encoding/json reads as the same.
func FuzzReadPlain(f *testing.F) {
	recorded, err := os.ReadFile("testdata/v1/sensor.json")
	if err != nil {
		f.Fatal(err)
	}

	written, err := json.Marshal(batch())
	if err != nil {
		f.Fatal(err)
	}

	f.Add(recorded)
	f.Add(written)
	f.Add([]byte(`{"seq":1,"samples":[{"time":"2026-03-01T12:00:00+23:59","key":"","value":-0.0e-0,"unit":"","stage":""},{"time":"0000-01-01T00:00:00Z","key":"},{","value":null}]}`))

	f.Fuzz(func(t *testing.T, body []byte) {
		var plain, decoded wire.SensorBatch
		if !wire.ReadPlain(body, &plain) {
			return
		}

		if err := json.Unmarshal(body, &decoded); err != nil {
			t.Fatalf("read plainly, and yet %v: %s", err, body)
		}

		if diff := cmp.Diff(decoded, plain); diff != "" {
			t.Errorf("%s\n%s", body, diff)
		}
	})
}
