package core

import "time"

// Expiry says what of a run was removed because it was old: without it a run
// whose log is gone would look like one that said nothing.
type Expiry struct {
	Run       RunID     `json:"run"`
	LogAt     time.Time `json:"log_at,omitzero"`       // when the log was removed; zero: it was not
	FilesAt   time.Time `json:"artifacts_at,omitzero"` // when files were last removed
	Artifacts int       `json:"artifacts,omitempty"`   // how many files were removed
	SamplesAt time.Time `json:"samples_at,omitzero"`   // when raw samples gave way to rollups: what is left of them counts no more
}
