package core

import (
	"encoding/json"
	"math"
)

// MarshalJSON writes a value that is not a number as null, which JSON has no
// other word for.
func (s Sample) MarshalJSON() ([]byte, error) {
	type plain Sample

	if isNumber(s.Value) {
		return json.Marshal(plain(s))
	}

	return json.Marshal(struct {
		plain

		Value *float64 `json:"value"`
	}{plain: plain(s)})
}

// UnmarshalJSON reads null as NaN.
func (s *Sample) UnmarshalJSON(data []byte) error {
	type plain Sample

	in := plain{Value: math.NaN()} // null leaves it as it is
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}

	*s = Sample(in)

	return nil
}

// MarshalJSON writes a value that is not a number as null.
func (e Evaluation) MarshalJSON() ([]byte, error) {
	type plain Evaluation

	if isNumber(e.Value) {
		return json.Marshal(plain(e))
	}

	return json.Marshal(struct {
		plain

		Value *float64 `json:"value"`
	}{plain: plain(e)})
}

// UnmarshalJSON reads null as NaN.
func (e *Evaluation) UnmarshalJSON(data []byte) error {
	type plain Evaluation

	in := plain{Value: math.NaN()}
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}

	*e = Evaluation(in)

	return nil
}

func isNumber(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
