// Package route is the one table of the operator API: who may call what, with
// which bodies, and what comes back. Handlers (ui/api), the OpenAPI document and
// the client of the command line are all made from it, so they cannot drift.
package route

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"vetting/core"
)

// Scope is what a caller must be allowed to do. Each scope includes those
// before it.
type Scope string

// The scopes, from least to most.
const (
	None    Scope = "none"    // anybody
	Read    Scope = "read"    // look
	Operate Scope = "operate" // register hosts, start and end runs
	Admin   Scope = "admin"   // let people and programs in
)

// scopes in their order.
func scopes() []Scope { return []Scope{None, Read, Operate, Admin} }

// Allows reports whether a caller with scope s may do what needs scope need. An
// unknown scope allows nothing but None.
func (s Scope) Allows(need Scope) bool {
	have, want := -1, -1

	for i, known := range scopes() {
		if known == s {
			have = i
		}

		if known == need {
			want = i
		}
	}

	return want == 0 || want > 0 && have >= want
}

// ParseScope reads a scope that can be given to a token.
func ParseScope(s string) (Scope, error) {
	switch Scope(s) {
	case Read, Operate, Admin:
		return Scope(s), nil
	case None:
	}

	return "", core.NewProblem(core.ErrInvalid, "token/bad-scope",
		fmt.Sprintf("%q is not a scope; choose read, operate or admin.", s))
}

// Param is a query parameter.
type Param struct {
	Name    string
	Summary string
	Kind    string // JSON type: "string", "integer", "number"
}

// Answer is one way a call can end. Errors all carry ErrorBody and are added by
// Route.Answers.
type Answer struct {
	Status  int
	Type    string // media type; empty: no body
	Value   any    // zero value of the body's Go type for application/json; nil otherwise
	Summary string
}

// Route is one call of the API.
type Route struct {
	Name    string // "hosts.list": unique, the client asks for a path by it
	Tag     string // group in the documentation
	Method  string
	Path    string // "/api/v1/hosts/{mac}"
	Summary string
	Scope   Scope
	Query   []Param
	ReqType string // media type of the request's body; empty: none
	Req     any    // zero value of the body's Go type for application/json
	OK      Answer
	Tagged  bool  // the answer has an ETag; what changes something takes it as If-Match
	Secret  bool  // the answer holds a secret: it is given once, and kept nowhere
	Errors  []int // statuses that can be answered besides 401, 403, 429 and 500
}

// The media types of the API.
const (
	JSON   = "application/json"
	YAML   = "application/yaml"
	HTML   = "text/html"
	Stream = "text/event-stream"
	Binary = "application/octet-stream"
	CSV    = "text/csv"
	JSONL  = "application/jsonl"
	XML    = "application/xml"
	ZIP    = "application/zip"
	SVG    = "image/svg+xml"

	Metrics = "text/plain; version=0.0.4"
)

// TunnelProtocol is what both ends of a tunnel to a held host name in the header
// Upgrade (RFC 9110, section 7.8).
const TunnelProtocol = "vetting-tunnel"

// IdempotencyKey is the header by which an order may be sent again by whoever does not know
// what came of it (draft-ietf-httpapi-idempotency-key-header).
const IdempotencyKey = "Idempotency-Key"

// IfMatch is the header by which a write goes through only on the state that was read: its value
// is the ETag of what was read (RFC 9110, section 13.1.1).
const IfMatch = "If-Match"

// Conditional reports whether the call takes IfMatch.
func (r *Route) Conditional() bool { return r.Tagged && r.Method != "GET" }

// Repeatable reports whether the call takes an idempotency key.
func (r *Route) Repeatable() bool { return r.Method == "POST" && r.Scope != None }

// Find returns the route called name.
func Find(name string) (Route, bool) {
	for _, r := range Table() {
		if r.Name == name {
			return r, true
		}
	}

	return Route{}, false
}

// Path returns the path of the route called name with its parameters, in their
// order, filled in and escaped.
func Path(name string, params ...string) (string, error) {
	r, ok := Find(name)
	if !ok {
		return "", fmt.Errorf("building path: no route is called %q", name)
	}

	want := r.Params()
	if len(want) != len(params) {
		return "", fmt.Errorf("building path of %s: needs %d parameters (%s), got %d", name, len(want), strings.Join(want, ", "), len(params))
	}

	p := r.Path

	for i, key := range want {
		if params[i] == "" {
			return "", fmt.Errorf("building path of %s: %s is empty", name, key)
		}

		p = strings.Replace(p, "{"+key+"}", url.PathEscape(params[i]), 1)
	}

	return p, nil
}

// Params returns the names of the parameters in the path, in their order.
func (r *Route) Params() []string {
	var names []string

	for part := range strings.SplitSeq(r.Path, "{") {
		if name, _, found := strings.Cut(part, "}"); found {
			names = append(names, name)
		}
	}

	return names
}

// Answers returns all ways the call can end, the good one first.
func (r *Route) Answers() []Answer {
	list := []Answer{r.OK}

	for _, status := range r.errorStatuses() {
		list = append(list, Answer{Status: status, Type: JSON, Value: ErrorBody{}, Summary: reasons()[status]})
	}

	return list
}

func (r *Route) errorStatuses() []int {
	var list []int

	for status := 400; status < 600; status++ {
		if r.mayAnswer(status) {
			list = append(list, status)
		}
	}

	return list
}

func (r *Route) mayAnswer(status int) bool {
	if slices.Contains(r.Errors, status) {
		return true
	}

	switch status {
	case 401, 403:
		return r.Scope != None
	case 400, 409, 422:
		return r.Repeatable() // what is wrong with an idempotency key
	case 412:
		return r.Conditional()
	case 413:
		return r.ReqType != ""
	case 500:
		return true
	default:
		return false
	}
}

// reasons says what each error status means in this API.
func reasons() map[int]string {
	return map[int]string{
		400: "the request is malformed",
		401: "no token or session, or one that names nobody",
		403: "the caller may not do this",
		404: "there is no such thing",
		409: "the thing is in a state that forbids it",
		412: "what is on record is not what If-Match names",
		413: "the body is too large",
		422: "the request is well formed but makes no sense",
		426: "the call must ask for another protocol; Upgrade says which",
		429: "too fast; Retry-After says when to come back",
		500: "the appliance broke",
		503: "not ready",
		507: "the appliance's disk is too full to accept it",
	}
}
