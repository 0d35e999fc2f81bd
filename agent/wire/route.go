package wire

import "strings"

// Auth says which bearer token a call wants.
type Auth string

// The tokens of a run.
const (
	AuthBoot    Auth = "boot token"    // from the seed; one-time, consumed by claim
	AuthSession Auth = "session token" // from the answer to claim, of the current epoch
)

// Message is a body that can check itself.
type Message interface{ Validate() error }

// Route is one call of the contract. The gate registers its handlers, the agent
// builds its requests and the document is written from it.
type Route struct {
	Name     string  // "hello"
	Method   string  // "POST"
	Path     string  // "/api/v1/runs/{run}/hello"
	Summary  string  // one sentence
	Auth     Auth    // which token
	MaxBody  int64   // bytes of the request's body
	Query    []Query // parameters in the address
	Request  any     // zero value of the request's type; nil: the body is raw
	Response any     // zero value of the answer's type
}

// Query is a parameter in the address.
type Query struct{ Name, Summary string }

// Target returns the path for a run.
func (r Route) Target(run string) string { return strings.ReplaceAll(r.Path, "{run}", run) }

// Call is a [Route] that knows the types of its bodies.
type Call[Request, Response Message] struct{ Route }

func call[Request, Response Message](name, summary string, auth Auth, maxBody int64) Call[Request, Response] {
	var (
		request  Request
		response Response
	)

	return Call[Request, Response]{Route{
		Name: name, Method: "POST", Path: "/api/v1/runs/{run}/" + name, Summary: summary,
		Auth: auth, MaxBody: maxBody, Request: request, Response: response,
	}}
}

// CallHello is the agent's first word.
func CallHello() Call[Hello, HelloReply] {
	return call[Hello, HelloReply]("hello", "The agent's first word: which program it is, on which boot.", AuthBoot, MaxSmallBody)
}

// CallClaim asks for the run.
func CallClaim() Call[Claim, ClaimReply] {
	return call[Claim, ClaimReply]("claim",
		"Asks for the run: consumes the boot token, binds or compares the machine's identity.", AuthBoot, MaxSmallBody)
}

// CallHeartbeat is the sign of life.
func CallHeartbeat() Call[Heartbeat, Order] {
	return call[Heartbeat, Order]("heartbeat", "The sign of life; the answer is an order.", AuthSession, MaxSmallBody)
}

// CallLog brings lines of the log.
func CallLog() Call[LogBatch, LogReply] {
	return call[LogBatch, LogReply]("log", "Lines of the agent's log.", AuthSession, MaxLogBody)
}

// CallSensor brings samples.
func CallSensor() Call[SensorBatch, SensorReply] {
	return call[SensorBatch, SensorReply]("sensor",
		"Samples; the answer names the thresholds they broke.", AuthSession, MaxSensorBody)
}

// CallResult brings what came of a stage.
func CallResult() Call[Result, ResultReply] {
	return call[Result, ResultReply]("result",
		"What came of a stage; the answer says where the run is now.", AuthSession, MaxResultBody)
}

// RouteArtifact brings a file, as it is.
func RouteArtifact() Route {
	return Route{
		Name: "artifact", Method: "POST", Path: "/api/v1/runs/{run}/artifact",
		Summary: "A file that belongs to the run, as a raw body.", Auth: AuthSession, MaxBody: MaxArtifactBody,
		Query: []Query{
			{Name: "name", Summary: "what the file is called, 256 bytes at most"},
			{Name: "stage", Summary: "the stage it comes from"},
		},
		Response: ArtifactReply{},
	}
}

// Routes returns the whole contract, in the order of a conversation.
func Routes() []Route {
	return []Route{
		CallHello().Route, CallClaim().Route, CallHeartbeat().Route, CallLog().Route,
		CallSensor().Route, CallResult().Route, RouteArtifact(), RoutePartner(), CallTraffic().Route, CallPair().Route, CallHold().Route,
	}
}
