package wire

// Fault is the body of every answer that is not 2xx.
type Fault struct {
	Error FaultBody `json:"error"`
}

// FaultBody says what is wrong.
type FaultBody struct {
	Code    string         `json:"code"`    // "run/not-found", for programs
	Message string         `json:"message"` // one calm sentence
	Details map[string]any `json:"details,omitempty"`
}

// DetailState is the key in [FaultBody].Details under which a 409 or 410 tells
// the state the run is in.
const DetailState = "state"

// The codes by which the agent tells refusals of one status apart.
const (
	CodeOldEpoch    = "run/old-epoch"     // 410: a newer boot has the run; any other 410 with a state says that it is over
	CodeTokenReused = "boot/token-reused" // 403: the boot token was spent before
)

// Validate demands code and message.
func (f Fault) Validate() error {
	var list faults

	list.need("error.code", f.Error.Code, MaxName)
	list.need("error.message", f.Error.Message, MaxText)

	return list.err()
}
