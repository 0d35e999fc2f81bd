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

	// Serve is the port that machines under test hang on, by the kernel's name; empty: this
	// machine itself is vetted. Console is the address of this machine at which people
	// reach the console; empty: they have none but the test network.
	Serve   string `json:"serve,omitempty"`
	Console string `json:"console,omitempty"`
}

// KitOrder is what a person in front of a kit that serves a network port wants: a JSON
// object a line on the standard input of that program, after the job.
type KitOrder struct {
	Vet string `json:"vet"` // MAC address of a machine that is to be vetted
}

// KitWord is what that program says on its standard output, a JSON object a line: one
// field of it is set.
type KitWord struct {
	Seed    *Seed       `json:"seed,omitempty"`    // of the run that was started
	Over    *KitVerdict `json:"over,omitempty"`    // the run is decided, and its report is kept
	Trouble string      `json:"trouble,omitempty"` // what keeps it from working, for people
	Serving *KitServing `json:"serving,omitempty"` // a network port is served, and this is how things stand
	Say     string      `json:"say,omitempty"`     // what came of an order, a sentence
}

// KitServing is what stands on the screen of a machine that serves a network port.
type KitServing struct {
	Network  string       `json:"network"`            // "10.77.0.1/24"
	Console  string       `json:"console"`            // URL
	Alone    bool         `json:"alone,omitempty"`    // the console is on the test network itself
	Key      string       `json:"key,omitempty"`      // SHA-256 of the console's certificate, hex
	Link     string       `json:"link,omitempty"`     // one-time URL that sets the admin password; empty: it is set
	QR       []string     `json:"qr,omitempty"`       // Link, drawn
	Machines []KitMachine `json:"machines,omitempty"` // on the test network, in the order in which they were heard of
}

// KitMachine is a machine on the test network.
type KitMachine struct {
	MAC   string `json:"mac"`
	Name  string `json:"name,omitempty"` // empty: it is not registered
	State string `json:"state"`          // for people: "Memory", "pass", "asks for an address"
	Busy  bool   `json:"busy,omitempty"` // a run of it is under way
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
