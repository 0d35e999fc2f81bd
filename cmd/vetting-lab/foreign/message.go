package foreign

import "time"

// The messages, field by field as the HTTP contract prints them ("Agent side"). A field whose
// shape the contract leaves open is left out, or sent as the empty list it says it is.

// greeting is the body of hello.
type greeting struct {
	ProtocolVersion int    `json:"protocol_version"`
	AgentVersion    string `json:"agent_version"`
	MAC             string `json:"mac"`
	IP              string `json:"ip"`
	BootID          string `json:"boot_id"`
	Kernel          string `json:"kernel"`
	Firmware        string `json:"firmware"`
	SecureBoot      bool   `json:"secure_boot"`
}

// Greeted is the answer to hello.
type Greeted struct {
	State      string    `json:"state"`
	ServerTime time.Time `json:"server_time"`
}

// identity is what the machine says it is.
type identity struct {
	SMBIOSUUID  string   `json:"smbios_uuid"`
	BoardSerial string   `json:"board_serial"`
	MACs        []string `json:"macs"`
}

// claim is the body of claim.
type claim struct {
	BootID   string   `json:"boot_id"`
	Identity identity `json:"identity"`
}

// Claimed is the answer to claim: the work, and the token that everything else is said with.
type Claimed struct {
	SessionToken  string         `json:"session_token"`
	Epoch         int            `json:"epoch"`
	Profile       string         `json:"profile"`
	Stages        []Stage        `json:"stages"`
	ExpectedDisks []ExpectedDisk `json:"expected_disks"`
	Interval      int            `json:"heartbeat_interval_s"`
	OverrideFlags []string       `json:"override_flags"`
}

// Stage is one stage of the run, in the order they are done.
type Stage struct {
	Name   string         `json:"name"`
	Config map[string]any `json:"config"`
}

// ExpectedDisk is a disk that the operator listed.
type ExpectedDisk struct {
	Serial    string `json:"serial"`
	WWN       string `json:"wwn"`
	Model     string `json:"model"`
	SizeBytes int64  `json:"size_bytes"`
	Armed     bool   `json:"armed"`
}

// beat is the body of heartbeat.
type beat struct {
	Stage    string  `json:"stage"`
	SubStep  string  `json:"sub_step"`
	Progress float64 `json:"progress"`
	ETA      int     `json:"eta_s"`
	Uptime   int     `json:"uptime_s"`
}

// Order is the answer to heartbeat.
type Order struct {
	Cmd             string     `json:"cmd"`
	Stage           string     `json:"stage"`
	OverrideFlags   []string   `json:"override_flags"`
	WriteLeaseUntil *time.Time `json:"write_lease_until"`
}

// line is one line of a log batch.
type line struct {
	Time  string `json:"time"`
	Level string `json:"level"`
	Stage string `json:"stage"`
	Text  string `json:"text"`
}

// logBatch is the body of log.
type logBatch struct {
	Seq   int    `json:"seq"`
	Lines []line `json:"lines"`
}

// sample is one measured value.
type sample struct {
	Time  string  `json:"time"`
	Key   string  `json:"key"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Stage string  `json:"stage"`
}

// sensorBatch is the body of sensor.
type sensorBatch struct {
	Seq     int      `json:"seq"`
	Samples []sample `json:"samples"`
}

// result is the body of result.
type result struct {
	Seq          int    `json:"seq"`
	Stage        string `json:"stage"`
	Verdict      string `json:"verdict"`
	Findings     []any  `json:"findings"`
	SubSteps     []any  `json:"sub_steps"`
	Measurements []any  `json:"measurements"`

	Inventory *inventory `json:"inventory,omitempty"`
}

// inventory is what the machine is made of. The contract names the field and leaves its shape open:
// this one tells nothing, and is there, since InventoryCheck does not pass without one
// (stage/no-inventory).
type inventory struct{}

// Moved is the answer to result.
type Moved struct {
	NextState string `json:"next_state"`
}

// Kept is the answer to artifact.
type Kept struct {
	ID     string `json:"id"`
	SHA256 string `json:"sha256"`
}

// held is the body of hold.
type held struct {
	IP         string `json:"ip"`
	SSHHostKey string `json:"ssh_host_key"`
}

// Opened is the answer to hold.
type Opened struct {
	AuthorizedKeys []string `json:"authorized_keys"`
}
