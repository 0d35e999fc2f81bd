package core_test

import (
	"encoding/json"
	"math"
	"testing"

	"vetting/core"
)

func TestAValueThatIsNoNumberTravelsAsNull(t *testing.T) {
	for name, v := range map[string]float64{"nan": math.NaN(), "infinite": math.Inf(1), "number": 41.5, "zero": 0} {
		data, err := json.Marshal([]any{core.Sample{Key: "k", Value: v}, core.Evaluation{Rule: "r", Value: v}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}

		out := []json.RawMessage{}
		if err := json.Unmarshal(data, &out); err != nil {
			t.Fatal(err)
		}

		var (
			s core.Sample
			e core.Evaluation
		)

		if err := json.Unmarshal(out[0], &s); err != nil || s.Key != "k" || !same(s.Value, v) {
			t.Errorf("%s: sample came back as %v (%v) from %s", name, s, err, out[0])
		}

		if err := json.Unmarshal(out[1], &e); err != nil || e.Rule != "r" || !same(e.Value, v) {
			t.Errorf("%s: evaluation came back as %v (%v) from %s", name, e, err, out[1])
		}
	}
}

func same(got, sent float64) bool {
	if math.IsNaN(sent) || math.IsInf(sent, 0) {
		return math.IsNaN(got)
	}

	return got == sent
}
