package wire

// KitJob is what the agent of a machine that was booted from the field kit asks of the
// appliance's program that it starts on the same machine: one JSON object on its
// standard input, which stays open as long as it is to run.
type KitJob struct {
	MAC     string  `json:"mac"`     // the machine is known by it
	Name    string  `json:"name"`    // for people
	Profile string  `json:"profile"` // name of a profile
	Scale   float64 `json:"scale"`   // 0: the profile's own; below 1 shortens durations (virtual hosts)
	Run     string  `json:"run"`     // the run to go on with, of this boot; empty: start one
}

// KitWord is what that program says on its standard output, a JSON object a line: one
// field of it is set.
type KitWord struct {
	Seed    *Seed       `json:"seed,omitempty"`    // of the run that was started
	Over    *KitVerdict `json:"over,omitempty"`    // the run is decided, and its report is kept
	Trouble string      `json:"trouble,omitempty"` // what keeps it from working, for people
}

// KitVerdict is what came of a run, for the screen of the machine.
type KitVerdict struct {
	Run       string   `json:"run"`
	Verdict   string   `json:"verdict"` // "pass", "fail", "error", "cancelled"
	Summary   string   `json:"summary"` // one sentence
	Findings  []string `json:"findings,omitempty"`
	NotTested []string `json:"not_tested,omitempty"`
	Folder    string   `json:"folder"`           // below "reports" on the data partition
	Signer    string   `json:"signer,omitempty"` // fingerprint of the key that the report is signed with
}
