package core

import (
	"errors"
	"maps"
)

// The few kinds of error that cross a door. A room translates its library's
// errors into one of these (wrapped with %w and a sentence); callers test with
// errors.Is.
var (
	// ErrNotFound: the thing asked for is not in the ledger.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the thing is there but in a state that forbids the request.
	ErrConflict = errors.New("conflicts with the current state")
	// ErrRefused: the asker is not allowed (wrong token, wrong identity).
	ErrRefused = errors.New("refused")
	// ErrUnauthorized: no token, or one that names nobody.
	ErrUnauthorized = errors.New("not authorised")
	// ErrExpired: what the asker holds was good once (token, epoch, link).
	ErrExpired = errors.New("expired")
	// ErrTooOften: what the asker holds is good, but was asked for often enough.
	ErrTooOften = errors.New("asked for too often")
	// ErrInvalid: the request is well formed but makes no sense.
	ErrInvalid = errors.New("invalid")
	// ErrFull: the ledger's disk is too full to accept the write.
	ErrFull = errors.New("storage is full")
)

// Problem is an error with a stable code for programs and a calm sentence for
// people. Kind is one of the errors above and decides the HTTP status.
type Problem struct {
	Code    string         // "run/not-found"
	Message string         // one calm sentence that says what to do
	Details map[string]any // may be nil
	Kind    error
}

// NewProblem returns a Problem of kind with a code and a sentence.
func NewProblem(kind error, code, message string) *Problem {
	return &Problem{Code: code, Message: message, Kind: kind}
}

// With returns a copy of p that carries one more detail.
func (p *Problem) With(key string, value any) *Problem {
	details := map[string]any{key: value}
	maps.Copy(details, p.Details)

	return &Problem{Code: p.Code, Message: p.Message, Details: details, Kind: p.Kind}
}

// Error returns code and sentence.
func (p *Problem) Error() string { return p.Code + ": " + p.Message }

// Unwrap returns the kind, so that errors.Is(err, ErrNotFound) holds.
func (p *Problem) Unwrap() error { return p.Kind }
