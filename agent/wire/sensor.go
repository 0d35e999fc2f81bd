package wire

import "math"

// SensorBatch carries samples. A batch whose seq was seen before changes
// nothing and is answered as before.
type SensorBatch struct {
	Seq     uint64   `json:"seq"`
	Samples []Sample `json:"samples"`
}

// Sample is one measured value.
type Sample struct {
	Time  Time      `json:"time"`
	Key   string    `json:"key"`   // [a-z0-9/_.:-]{1,96}
	Value *float64  `json:"value"` // null: not measurable now; see [Measured]
	Unit  string    `json:"unit,omitempty"`
	Stage StageName `json:"stage,omitempty"`
}

// Validate checks shape and limits.
func (b SensorBatch) Validate() error {
	var f faults

	f.seq(b.Seq)
	f.atMost("samples", len(b.Samples), MaxSamples)
	f.samples("samples", b.Samples)

	return f.err()
}

func (f *faults) samples(field string, samples []Sample) {
	for i := range samples {
		s := &samples[i]

		if !ValidKey(s.Key) {
			f.add("%s.key %.96q must match [a-z0-9/_.:-]{1,96}", field, s.Key)
		}

		if s.Time.IsZero() {
			f.add("%s.time is missing", field)
		}

		if s.Value != nil && (math.IsNaN(*s.Value) || math.IsInf(*s.Value, 0)) {
			f.add("%s.value must be finite, or null where nothing was measured", field)
		}

		if len(s.Unit) > MaxName {
			f.atMost(field+".unit", len(s.Unit), MaxName)
		}
	}
}

// SensorReply answers [SensorBatch] with the thresholds that its samples broke.
type SensorReply struct {
	Breaches []Breach `json:"breaches"`
}

// Breach is a threshold that was broken.
type Breach struct {
	Rule     string   `json:"rule"`
	Key      string   `json:"key"`
	Value    *float64 `json:"value"` // null: absent, where a value was required
	Limit    string   `json:"limit"` // "lte 55"
	Verdict  Verdict  `json:"verdict"`
	Severity Severity `json:"severity"`
}

// Validate checks shape and limits.
func (r SensorReply) Validate() error {
	var f faults

	f.atMost("breaches", len(r.Breaches), MaxMeasurements)

	return f.err()
}
