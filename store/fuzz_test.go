package store_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vetting/core"
	"vetting/store"
)

func batchOf(values ...float64) *core.SampleBatch {
	b := &core.SampleBatch{Run: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Epoch: 3, Seq: 99}
	for i, v := range values {
		b.Samples = append(b.Samples, core.Sample{
			Time: time.Unix(1_790_000_000+int64(i), 5).UTC(), Key: "cpu/package0/temperature_celsius", Value: v, Unit: "celsius", Stage: "CPUStress",
		})
	}

	return b
}

func TestSamplesComeBackBitForBit(t *testing.T) {
	t.Parallel()

	values := []float64{
		0, math.Copysign(0, -1), 1, -1, 61.5, 0.1, 1.0 / 3, 1e-6, 1e-7, 123456.789, 1e15, 1 << 53, -(1 << 53), 1e300, 5e-324,
		math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 0.30000000000000004, 12.000001, -273.15,
	}

	got, err := store.UnpackSamples(store.PackSamples(batchOf(values...)))
	if err != nil {
		t.Fatal(err)
	}

	for i, v := range values {
		if math.Float64bits(got.Samples[i].Value) != math.Float64bits(v) {
			t.Errorf("%v came back as %v", v, got.Samples[i].Value)
		}
	}

	if diff := cmp.Diff(*batchOf(values...), got, cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}

	odd := core.SampleBatch{Stage: "Burn", Attempt: 2, Unkept: 9, Samples: []core.Sample{{}, {Key: "a"}, {Unit: "b", Time: time.Date(1, 1, 1, 0, 0, 0, 7, time.UTC)}, {Stage: "c"}}}

	got, err = store.UnpackSamples(store.PackSamples(&odd))
	if err != nil || !cmp.Equal(odd, got) {
		t.Errorf("%v, %s", err, cmp.Diff(odd, got))
	}
}

// Format 2 was written until the batch's stage was found to be missing from it.
func TestABatchOfAnOlderProgramIsRead(t *testing.T) {
	t.Parallel()

	payload, err := hex.DecodeString("1a303141525a334e44454b54535634525246465136394735464156066302216370752f7061636b616765302f74" +
		"656d70657261747572655f63656c73697573000863656c73697573000a4350555374726573730080ee89ab0d0a" +
		"0200000201ce09")
	if err != nil {
		t.Fatal(err)
	}

	got, err := store.UnpackBatch(payload)
	if err != nil || !cmp.Equal(*batchOf(1, 61.5), got) {
		t.Errorf("%v, %s", err, cmp.Diff(*batchOf(1, 61.5), got))
	}
}

func FuzzUnpackSamples(f *testing.F) {
	f.Add(store.PackSamples(batchOf(1, 2.5, math.NaN())))
	f.Add(store.PackSamples(&core.SampleBatch{}))
	f.Add(store.PackSamples(&core.SampleBatch{Stage: "SMART", Attempt: 1, Unkept: 3}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		batch, err := store.UnpackSamples(payload)
		if err != nil {
			return
		}

		again, err := store.UnpackSamples(store.PackSamples(&batch))
		if err != nil || !cmp.Equal(batch, again, cmpopts.EquateNaNs()) {
			t.Errorf("%+v came back as %+v, %v", batch, again, err)
		}
	})
}

func someRollups() *core.RollupBatch {
	b := &core.RollupBatch{Run: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Stage: "Burn", Attempt: 2, Step: 10 * time.Second}
	for i := range 5 {
		b.Rollups = append(b.Rollups, core.Rollup{
			Time: time.Unix(1_790_000_000+10*int64(i), 0).UTC(), Key: "cpu/package0/temperature_celsius", Unit: "celsius",
			Min: 40, Max: 61.5 + float64(i), Mean: 55.1234, Count: 10 - i, Silent: i, Rule: "hot", Severity: "warning", Verdict: "pass",
		})
	}

	return b
}

func TestRollupsComeBack(t *testing.T) {
	t.Parallel()

	got, err := store.UnpackRollups(store.PackRollups(someRollups()))
	if diff := cmp.Diff(*someRollups(), got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}

	if size := len(store.PackRollups(someRollups())); size > 5*40+80 {
		t.Errorf("5 rollups take %d bytes", size)
	}
}

func FuzzUnpackRollups(f *testing.F) {
	f.Add(store.PackRollups(someRollups()))
	f.Add(store.PackRollups(&core.RollupBatch{}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		batch, err := store.UnpackRollups(payload)
		if err != nil {
			return
		}

		again, err := store.UnpackRollups(store.PackRollups(&batch))
		if err != nil || !cmp.Equal(batch, again, cmpopts.EquateNaNs()) {
			t.Errorf("%+v came back as %+v, %v", batch, again, err)
		}
	})
}

func FuzzUnseal(f *testing.F) {
	f.Add([]byte("t/host/a"), store.Seal([]byte("t/host/a"), []byte("{}")))
	f.Add([]byte{}, []byte{1, 0x80, 0x80, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		payload, err := store.Unseal(key, value)
		if err != nil {
			return
		}

		for at := range value {
			changed := bytes.Clone(value)
			changed[at] ^= 0x10

			if got, err := store.Unseal(key, changed); err == nil {
				t.Errorf("byte %d changed and %q came back as %q", at, payload, got)
			}
		}

		if _, err := store.Unseal(append(key, 'x'), value); err == nil {
			t.Error("the value came back for another key")
		}
	})
}

// FuzzLedgerFiles gives any bytes to the readers of the files that Badger and we
// keep beside the tables.
func FuzzLedgerFiles(f *testing.F) {
	f.Add([]byte("VTHEAD1\n\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Add(append(make([]byte, 20), 0x40, 0, 0x8e, 0x01, 0x03, 0, 'm', '/'))
	f.Add([]byte{0, 0, 0, 4, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(_ *testing.T, content []byte) {
		store.FurthestInLog(content)
		store.TornChange(content)
		store.DecodeHead(content)
	})
}
